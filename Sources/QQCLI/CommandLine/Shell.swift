/// The shells that have a completion script.
enum Shell: String, Word { case bash, zsh, fish }
