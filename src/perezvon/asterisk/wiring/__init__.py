"""Our include files in a PBX's configuration: what stands in them, where they go, how they come and go."""
