"""Offline stand-ins for Pulumi plugins.

Each one follows the documented behaviour of the plugin it stands in for: inputs, outputs, secretness,
diff and replace rules, error texts. They are used only where the real plugin is missing and cannot be
downloaded (see `engine.plugins`).
"""
