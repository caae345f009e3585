"""The interface of a device, and the choice of a device by method."""
