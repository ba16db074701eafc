"""What the researchers' notebooks compute: a function each, which takes scores and gives an object that shows itself."""
