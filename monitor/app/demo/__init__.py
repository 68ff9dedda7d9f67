"""`faultline demo`: the main job on a virtual provider, from the first probe to the table of what was found."""
