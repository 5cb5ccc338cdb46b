"""What a stack wants, as plain values: settings, layouts, and the shape of the outputs.

Nothing here knows Pulumi or does any input or output.
"""
