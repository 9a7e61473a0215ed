"""The portrait parser's corpus: pictures with regions and mattes, of synthetic people and of photos."""
