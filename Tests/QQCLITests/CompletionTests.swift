import Foundation
import Testing

@testable import QQCLI

/// A line, and the words that a shell must offer at its end. Folder names differ between shells and are tested separately.
struct Completed: Sendable, CustomTestStringConvertible {
    let shell: Shell
    let line: String
    let offered: Set<String>

    var testDescription: String { "\(shell): \(line)" }

    static let all = Shell.allCases.flatMap { shell in
        lines.map { Completed(shell: shell, line: $0.0, offered: Set($0.1)) }
    }

    private static let lines: [(String, [String])] = [
        ("qq ", Commands.visible.map(\.name)),
        ("qq ac", ["acquire"]),
        ("qq -q --timeout 3s st", ["status", "step-down"]),
        ("qq acquire ", ["backup", "base", "web"]),
        ("qq acquire ba", ["backup", "base"]),
        ("qq acquire --ttl 3s ba", ["backup", "base"]),
        ("qq acquire --wait ba", ["backup", "base"]),
        ("qq step-down --wait 3s ba", ["backup", "base"]),
        ("qq step-down backup -", CompletionSource.flags(of: Commands.stepDown).flatMap(\.spellings)),
        ("qq release ", ["deploy"]),
        ("qq watch backup w", ["web"]),
        ("qq acquire -s file:///other ", ["one", "two"]),
        ("qq -s file:///other acquire ", ["one", "two"]),
        ("qq --server=file:///other status ", ["one", "two"]),
        ("qq status -qs file:///other ", ["one", "two"]),
        ("qq status --color a", ["auto", "always"]),
        ("qq status --color=a", ["auto", "always"]),
        ("qq acquire --format ", ["text", "shell", "json"]),
        ("qq watch web --until le", ["led", "leader="]),
        ("qq acquire --conf", ["--conflict-exit-code"]),
        ("qq completions ", ["bash", "zsh", "fish"]),
        ("qq help st", ["status", "step-down"]),
        ("qq man qq-st", ["qq-status", "qq-step-down"]),
        ("qq acquire backup -- qq rel", ["release"]),
        ("qq status --id ", []),
    ]
}

@Suite("Completions", .serialized) struct Completions {
    @Test("TAB offers the expected words", arguments: Completed.all)
    func offer(_ expected: Completed) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        if expected.shell == .bash, expected.line.contains(" -- ") { return }  // Tested separately: bash-completion completes it.
        var offered = try await candidates(expected.shell, for: expected.line, in: sandbox)
        if expected.shell == .fish, expected.line.hasSuffix(" -") {
            // fish offers bundles: -qh stands for -q and -h.
            offered = offered.union(["-q", "-s", "-v", "-h", "-y"].filter { short in expected.offered.contains(short) })
        }
        if expected.shell == .zsh { offered = Set(offered.map { $0.hasPrefix("--") && $0.hasSuffix("=") ? String($0.dropLast()) : $0 }) }
        #expect(offered == expected.offered)
    }

    @Test("the flags of every command are completed", arguments: Shell.allCases)
    func flags(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        for command in Commands.visible {
            let offered = try await candidates(shell, for: "qq \(command.name) --", in: sandbox)
            for flag in CompletionSource.flags(of: command) {
                #expect(offered.contains(flag.long) || offered.contains(flag.long + "="), "\(shell): \(command.name) \(flag.long)")
            }
        }
    }

    @Test("the command after -- is completed", arguments: Shell.allCases)
    func commandAfterDashes(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write("", to: "unheard-of")
        #expect(try await candidates(shell, for: "qq acquire backup -- timeo", in: sandbox).contains("timeout"))
        #expect(try await candidates(shell, for: "qq acquire backup -- cat unhea", in: sandbox) == ["unheard-of"])
    }

    @Test("the command of a hook is completed", arguments: Shell.allCases)
    func hooks(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        #expect(try await candidates(shell, for: "qq keepalive web --on-lost timeo", in: sandbox).contains("timeout"))
    }

    @Test("the folders of server URLs are completed", arguments: Shell.allCases)
    func folders(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write("", to: "not-a-folder")
        #expect(try await candidates(shell, for: "qq status -s ", in: sandbox) == ["file:///"])
        let offered = try await candidates(shell, for: "qq status -s file://\(sandbox.folder.path)/", in: sandbox)
        #expect(offered.count == 1)
        #expect(offered.first?.hasSuffix("bin/") == true || offered.first == "bin")
    }

    @Test("process ids are completed", arguments: Shell.allCases)
    func processes(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        #expect(try await !candidates(shell, for: "qq keepalive web --pid ", in: sandbox).isEmpty)
    }

    @Test("completions run qq only to ask for names", arguments: Shell.allCases)
    func callsOfQQ(in shell: Shell) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        for line in ["qq ", "qq acquire ba", "qq release -s file:///other d", "qq status --color "] {
            _ = try await candidates(shell, for: line, in: sandbox)
        }
        let calls = Set(sandbox.read("calls").filledLines)
        // fish filters by the typed word itself.
        let (elections, grants) = shell == .fish ? ("", "") : (" ba", " d")
        #expect(calls == ["__complete elections --" + elections, "__complete grants -s file:///other --" + grants])
        for call in calls { #expect(problem(call) == nil) }
    }

    @Test("the command after -- is passed to bash-completion if that is loaded") func bashCompletion() async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write(completionScript(for: .bash), to: "qq.bash")
        try sandbox.write(
            """
            source ./qq.bash
            _command_offset() { printf '%s ' "$1" "${COMP_WORDS[$1]}" >candidates; }
            """, to: "rc")
        _ = try await sandbox.run(
            ["bash", "--noprofile", "--rcfile", "rc", "-i"], input: "qq -s file:///x acquire backup -- git sta\t\u{15}exit\n")
        #expect(sandbox.read("candidates") == "8 git ")
    }

    @Test("completions for zsh can also be loaded with source") func zshSource() async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write(completionScript(for: .zsh), to: "_qq")
        let result = try await sandbox.run(["zsh", "-f", "-c", "autoload -Uz compinit; compinit -u -D; source ./_qq; print $_comps[qq]"])
        #expect(result.output == "_qq\n" && result.errors == "")
    }
}
