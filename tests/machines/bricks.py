"""What is brought upon the bricks of a running cluster: no space, and no haste."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from tests.machines.clusters import Cluster


@contextmanager
def full(cluster: Cluster, *nodes: str) -> Iterator[None]:
    """Leaves these bricks less than they keep to themselves (1 %), while backups take their part of what is free."""
    most = "$(($(df --output=avail -B1 /brick | tail -n 1) - 8388608))"
    try:
        for node in nodes:
            cluster.must(node, f"timeout 60 sh -c 'until fallocate -l {most} /brick/filler; do sleep 0.1; done'")
        yield
    finally:
        for node in nodes:
            cluster.must(node, "rm -f /brick/filler")


def start_anew(cluster: Cluster) -> None:
    """Ends one brick after the other; its node starts it again."""
    for node in cluster.nodes:
        before = cluster.must(node, "pidof glusterfsd").strip()
        cluster.must(node, f"kill -TERM {before} && timeout 60 tail --pid {before} --follow /dev/null")
        cluster.whole()


@contextmanager
def slow(cluster: Cluster, operation: str) -> Iterator[None]:
    """Each brick waits for ten seconds before it does the operation, once that is all that is left to do."""
    settings = {
        "debug.delay-gen": "posix",
        "delay-gen.enable": operation,
        "delay-gen.delay-percentage": "100",
        "delay-gen.delay-duration": "10000000",
    }
    line = "gluster --mode=script volume set data "
    cluster.must(cluster.nodes[0], line + " ".join(f"{name} {value}" for name, value in settings.items()))
    try:
        # A brick takes it up when it starts.
        start_anew(cluster)
        yield
    finally:
        cluster.must(cluster.nodes[0], line + "delay-gen.delay-percentage 0")


# As an NFS server makes them that a client asks for what it had asked another for: nobody looks first whether they are
# there. What most bricks have already they refuse, which is what the client is told; the others make it.
_MAKES = """\
import ctypes, os, sys
environment, directory, file = map(os.fsencode, sys.argv[1:])
api = ctypes.CDLL("libgfapi.so.0", use_errno=True)
for name in ("glfs_new", "glfs_h_lookupat", "glfs_h_mkdir", "glfs_h_creat"):
    getattr(api, name).restype = ctypes.c_void_p
volume = ctypes.c_void_p(api.glfs_new(b"data"))
api.glfs_set_volfile_server(volume, b"tcp", b"localhost", 24007)
if api.glfs_init(volume):
    sys.exit(f"the volume cannot be reached: {os.strerror(ctypes.get_errno())}")
seen = ctypes.create_string_buffer(1024)
parent = ctypes.c_void_p(api.glfs_h_lookupat(volume, None, b"/" + environment, seen, 0))
if not parent:
    sys.exit(f"the environment's directory cannot be found: {os.strerror(ctypes.get_errno())}")
api.glfs_h_mkdir(volume, parent, directory, 0o755, seen)
api.glfs_h_creat(volume, parent, file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644, seen)
# What the library has started has nothing left to do.
os._exit(0)
"""


@contextmanager
def not_healed(cluster: Cluster) -> Iterator[None]:
    """What a brick lacks it goes on lacking."""
    line = "gluster --mode=script volume set data cluster.self-heal-daemon "
    cluster.must(cluster.nodes[0], line + "off")
    try:
        yield
    finally:
        cluster.must(cluster.nodes[0], line + "on")


@contextmanager
def without_brick(cluster: Cluster, node: str) -> Iterator[None]:
    """The node's brick does not run."""
    cluster.must(node, "systemctl stop storage-node-brick && pkill --signal KILL --exact glusterfsd")
    try:
        yield
    finally:
        cluster.must(node, "gluster --mode=script volume start data force && systemctl start storage-node-brick")


def make_again(cluster: Cluster, node: str, environment: str, directory: str, file: str, *, on: str) -> None:
    """Has them made through ``node`` until the brick of ``on``, which lacks them, has them too."""
    there = f"test -d /brick/brick-*/{environment}/{directory}"
    with cluster.shell(node) as making, cluster.shell(on) as lacking:
        making.put("/run/makes.py", _MAKES)
        for _ in range(30):
            making.run(f"timeout 60 python3 /run/makes.py {environment} {directory} {file}")
            if lacking.attempt(there).status == 0:
                return
    raise AssertionError(f"The brick of {on} made nothing.")


def identity(cluster: Cluster, node: str, path: str) -> UUID:
    """The id by which the node's brick knows what is at a path of the volume."""
    return UUID(cluster.must(node, _identity(path)).strip())


def identified(cluster: Cluster, node: str, path: str, identity: UUID) -> None:
    """Waits until the node's brick knows it by this id."""
    cluster.must(node, f"timeout 900 bash -c 'until [ $({_identity(path)}) = {identity.hex} ]; do sleep 1; done'")


def _identity(path: str) -> str:
    line = f"getfattr --absolute-names --name=trusted.gfid --encoding=hex /brick/brick-*/{path}"
    return f'{line} | sed -n "s/^trusted.gfid=0x//p"'


def identify_anew(cluster: Cluster, node: str, directory: str) -> None:
    """Has the node's brick know a directory by another id once it is started anew, and nobody note that."""
    before, after = str(identity(cluster, node, directory)), uuid4()
    place = f".glusterfs/{str(after)[:2]}/{str(after)[2:4]}"
    cluster.must(
        node,
        f"cd /brick/brick-*/ && setfattr --name=trusted.gfid --value=0x{after.hex} {directory} "
        f"&& mkdir --parents --mode=700 {place} "
        f"&& mv .glusterfs/{before[:2]}/{before[2:4]}/{before} {place}/{after} && sync",
    )
