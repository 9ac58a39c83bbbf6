/// Every file of man/ and completions/, by its path in the repository. `make docs` writes these files, and CI compares the committed
/// files with them.
func generatedFiles() -> [(path: String, contents: String)] {
    ManPages.all.map { ($0.path, $0.roff) } + Shell.allCases.map { ($0.completionPath, completionScript(for: $0)) }
}

/// The completion script of a shell.
func completionScript(for shell: Shell) -> String {
    switch shell {
    case .bash: BashCompletion.script
    case .zsh: ZshCompletion.script
    case .fish: FishCompletion.script
    }
}

extension Shell {
    fileprivate var completionPath: String {
        switch self {
        case .bash: "completions/qq.bash"
        case .zsh: "completions/_qq"
        case .fish: "completions/qq.fish"
        }
    }
}
