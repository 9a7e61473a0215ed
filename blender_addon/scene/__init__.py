"""What lies in the .blend: heads, rigs, cameras, materials; read and changed, without a backend."""
