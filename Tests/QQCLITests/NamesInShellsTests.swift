import Foundation
import Testing

@testable import QQCLI

/// Names that a server might report. A shell must insert each of them unchanged, or not offer it.
@Suite("Names with special characters in shells", .serialized)
struct NamesInShellsTests {
    private static let names = [
        "plain", "$(touch pwned)", "`touch pwned`", "a'b", "a\"b", "a b", "a;touch pwned", "a&touch pwned", "a|touch pwned", "a>pwned", "*",
        "!!",
        "!x", "~", "~root", "#x", "a\\b", "\\", "{a,b}", "a:b=c@d", "a=b:c", "=x", "$HOME", "[x]?", "é ü", "$'x'", "%1", "^a^b", "(x)", "'",
        "\"", "'q'", "x$(touch pwned)y", "\"; touch pwned; \"", "'; touch pwned; '", "日本 語",
    ]

    @Test("a name with special characters is inserted as one word, and no part of it is run", arguments: Shell.allCases, ["", "\"", "'"])
    func names(shell: Shell, quote: String) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        let ran = try await completed("qq status \(quote)", Self.names, in: shell, sandbox)
        for (name, words) in zip(Self.names, ran) {
            // Not offered: fish would insert the ~ unquoted.
            let isOffered = shell != .fish || !quote.isEmpty || !name.hasPrefix("~")
            #expect(words == (isOffered ? ["status", name] : ["status"]), "\(shell): \(quote)\(name)")
        }
        #expect(!sandbox.has("pwned"))
    }

    @Test("a name that looks like a flag is offered after --", arguments: Shell.allCases)
    func dashes(shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        let names = ["-x", "--all", "-$(touch pwned)"]
        #expect(try await completed("qq status -- ", names, in: shell, sandbox) == names.map { ["status", "--", $0] })
        #expect(!sandbox.has("pwned"))
    }

    @Test("a name is inserted as one word when only its end was missing", arguments: Shell.allCases)
    func begun(shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        let names = ["a:$(touch pwned)", "a:b c", "a:b;touch pwned", "a:'"]
        #expect(try await completed("qq status a:", names, in: shell, sandbox) == names.map { ["status", $0] })
        #expect(try await completed("qq status --match=a", names, in: shell, sandbox).allSatisfy { $0 == ["status", "--match=a"] })
        #expect(!sandbox.has("pwned"))
    }

    @Test("a name is offered only if a terminal shows it unchanged")
    func offered() {
        for name in ["web", "a b", "$(x)", "é", "-x"] { #expect(CompletionSource.isOffered(name), "\(name)") }
        for name in ["", "a\nb", "a\tb", "\u{1b}[31m", "a\u{0}", "a\u{85}", "a\u{FFFD}"] {
            #expect(!CompletionSource.isOffered(name), "\(name.debugDescription)")
        }
    }
}

/// For each name, while it is the only one that `qq` knows, types the beginning of a line and presses TAB and Enter.
/// - Returns: the arguments of each run of `qq`; empty if it was not run.
private func completed(_ line: String, _ names: [String], in shell: Shell, _ sandbox: Sandbox) async throws -> [[String]] {
    try sandbox.write(
        """
        #!/bin/sh
        if [ "$1" = __complete ]; then
            cat current
        else
            number=$(cat number)
            for word; do printf '%s\\0' "$word"; done >ran.part
            mv ran.part "ran-$number"
        fi
        """, to: "bin/qq")
    try sandbox.makeExecutable("bin/qq")
    for (number, name) in names.enumerated() {
        try sandbox.write(name + "\n", to: "name-\(number)")
        try sandbox.write("", to: "ran-\(number)")
        try FileManager.default.removeItem(at: sandbox.folder.appendingPathComponent("ran-\(number)"))
    }
    try sandbox.write("", to: "number")
    switch shell {
    case .bash:
        try sandbox.write(completionScript(for: .bash), to: "qq.bash")
        let lines = names.indices.map { "cp name-\($0) current; echo \($0) >number\n\(line)\t\n" }
        _ = try await sandbox.run(["bash", "--noprofile", "--rcfile", "qq.bash", "-i"], input: lines.joined() + "exit\n")
    case .zsh:
        try sandbox.write(completionScript(for: .zsh), to: "_qq")
        let start =
            "autoload -Uz compinit; fpath=($PWD $fpath); compinit -u -D; zstyle ':completion:*' insert-tab false; bindkey '^I' complete-word"
        try await type(line, names.count, at: ["zsh", "-f", "-i"], after: start, sandbox)
    case .fish:
        try sandbox.write(completionScript(for: .fish), to: "qq.fish")
        try await type(line, names.count, at: ["fish", "--no-config", "-i"], after: "source ./qq.fish", sandbox)
    }
    return names.indices.map { number in
        sandbox.read("ran-\(number)").split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(String.init)
    }
}

/// Types lines at a shell on its own terminal, and waits until each has been run.
private func type(_ line: String, _ count: Int, at shell: [String], after start: String, _ sandbox: Sandbox) async throws {
    try sandbox.write(
        """
        zmodload zsh/zpty || exit 3
        line=$1 start=$2
        integer count=$3 n i
        shift 3
        zpty z "$@"
        zpty -w z $start
        hear() { sleep 0.01; while zpty -r -t z rest; do :; done }
        for ((n = 0; n < count; n++)); do
            zpty -w z "cp name-$n current; echo $n >number"
            for ((i = 0; i < 10000; i++)); do
                [[ $(<number) == $n ]] && break
                hear
            done
            zpty -w -n z $line$'\\t\\r'
            for ((i = 0; i < 10000; i++)); do
                [[ -e ran-$n ]] && break
                hear
            done
            zpty -w -n z $'\\x15'
        done
        zpty -d z
        """, to: "type.zsh")
    let result = try await sandbox.run(["zsh", "-f", "type.zsh", line, start, "\(count)"] + shell)
    #expect(result.code == 0, "\(result.errors)")
}
