import Foundation
import Testing

@testable import QQCLI

/// The words that a real shell offers when TAB is pressed at the end of a line.
func candidates(_ shell: Shell, for line: String, in sandbox: Sandbox) async throws -> Set<String> {
    switch shell {
    case .bash: try await bashCandidates(for: line, in: sandbox)
    case .zsh: try await zshCandidates(for: line, in: sandbox)
    case .fish: try await fishCandidates(for: line, in: sandbox)
    }
}

/// Has an interactive bash read the line with readline, and records the answer of its completion function.
private func bashCandidates(for line: String, in sandbox: Sandbox) async throws -> Set<String> {
    try sandbox.write(completionScript(for: .bash), to: "qq.bash")
    try sandbox.write(
        """
        source ./qq.bash
        spy() { _qq "$@"; printf '%s\\n' "${COMPREPLY[@]}" >candidates; }
        complete -p qq >registered
        complete -F spy qq
        """, to: "rc")
    _ = try await sandbox.run(["bash", "--noprofile", "--rcfile", "rc", "-i"], input: line + "\t\u{15}exit\n")
    #expect(sandbox.read("registered") == "complete -F _qq qq\n")
    return Set(sandbox.read("candidates").filledLines)
}

/// Asks fish with its own `complete -C`. A flag's value comes together with the flag.
private func fishCandidates(for line: String, in sandbox: Sandbox) async throws -> Set<String> {
    try sandbox.write(completionScript(for: .fish), to: "qq.fish")
    let result = try await sandbox.run(["fish", "--no-config", "-c", "source ./qq.fish; complete -C $argv[1]", line])
    #expect(result.errors == "")
    return Set(
        result.output.filledLines.map { answer in
            let word = String(answer.split(separator: "\t")[0])
            guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else { return word }
            return String(word[word.index(after: equals)...])
        })
}

/// Runs a zsh on its own terminal, in which `compadd` prints the words that it adds.
private func zshCandidates(for line: String, in sandbox: Sandbox) async throws -> Set<String> {
    try sandbox.write(completionScript(for: .zsh), to: "_qq")
    try sandbox.write(
        """
        autoload -Uz compinit
        compinit -u -D
        zstyle ':completion:*' insert-tab false
        zstyle ':completion:*' list-separator ''
        bindkey '^I' complete-word
        mark() { print; print qq-mark }
        finish() { print; print qq-mark; exit }
        compprefuncs=(mark)
        comppostfuncs=(finish)
        compadd() {
            if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then
                builtin compadd "$@"
                return $?
            fi
            local -a hits
            builtin compadd -A hits "$@"
            (( $#hits )) && print -rl -- '' $hits
            builtin compadd "$@"
        }
        stty -echo
        print qq-rea''dy
        """, to: "inner.zsh")
    try sandbox.write(
        """
        zmodload zsh/zpty || exit 3
        zpty z zsh -f -i
        zpty -w z "PROMPT= fpath=($PWD \\$fpath)"
        zpty -w z 'source ./inner.zsh'
        zpty -r -m z rest '*qq-ready*' || exit 4
        zpty -w -n z "$1"$'\\t'
        integer marks=0
        while zpty -r z line; do
            line=${line%%$'\\r'*}
            if [[ $line == *qq-mark* ]]; then
                (( ++marks == 2 )) && break
            elif (( marks == 1 )); then
                print -r -- $line
            fi
        done
        zpty -d z
        """, to: "outer.zsh")
    let result = try await sandbox.run(["zsh", "-f", "outer.zsh", line])
    #expect(result.code == 0)
    return Set(result.output.filledLines)
}
