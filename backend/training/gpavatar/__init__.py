"""Training GPAvatar's network on several views of heads whose FLAME parameters are known."""
