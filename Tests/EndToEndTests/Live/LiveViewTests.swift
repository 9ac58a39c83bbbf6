import Glibc
import Support
import Testing

/// `qq watch` on a terminal.
@Suite("Live view on a terminal")
struct LiveViewTests {
    private func watch(_ options: [String] = [], in box: Sandbox, environment: [String: String] = [:]) async throws -> Tmux {
        try await Tmux([Sandbox.binary, "watch", "web", "db"] + options, in: box, environment: environment)
    }

    @Test("the live view shows leader and lease, and each change immediately")
    func changes() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            let view = try await watch(in: box, environment: ["LC_ALL": "C.UTF-8"])
            let first = try await view.expect("db        nobody  -")
            #expect(first.contains("ELECTION  LEADER  TOKEN  LEASE"))
            #expect(first.contains("web       n1      1      █"))
            #expect(first.contains("WHO LED"))
            _ = try await box.run("acquire", "db", "--id", "n2", "--ttl", "60s")
            try await view.expect("db  elected  n2  token 1")
            _ = try await box.run("release", "web")
            try await view.expect("web  released")
            try await view.expect("web       nobody")
            try await view.expect("A n1  B n2  · nobody")
            try await view.press("q")
            let ending = try await view.end()
            #expect(ending == .exited(0))
        }
    }

    @Test("the bar of a lease shortens without other events, until the expiry is reported")
    func bar() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "10s")
            let view = try await watch(in: box, environment: ["LC_ALL": "C"])
            @Sendable func hashes(_ screen: String) -> Int { screen.count { $0 == "#" } }
            let first = try await view.wait(for: "a bar") { hashes($0) > 10 }
            try await view.wait(for: "a shorter bar") { hashes($0) < hashes(first) - 5 }
            try await view.expect("web  expired")
            try await view.expect("nobody (was n1)")
            #expect(hashes(try await view.screen()) == 0)
            try await view.press("C-c")
            let ending = try await view.end()
            #expect(ending == .exited(0))
        }
    }

    @Test("a renewal fills the bar again, without a line in the log")
    func renewed() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            let view = try await watch(in: box, environment: ["LC_ALL": "C"])
            @Sendable func left(_ screen: String) -> Int? {
                let line = screen.split(separator: "\n").first { $0.hasPrefix("web ") && $0.hasSuffix("s") }
                return line?.split(separator: " ").last.flatMap { Int($0.dropLast()) }
            }
            let before = try await view.wait(for: "the lease to age") { left($0).map { $0 < 59 } ?? false }
            _ = try await box.run("keepalive", "web", "--once")
            try await view.wait(for: "a longer lease than \(before)") { (left($0) ?? 0) > (left(before) ?? 60) }
            #expect(try await !view.screen().contains("renewed"))
            try await view.press("q")
            try await view.end()
        }
    }

    @Test("the live view restores the screen, the cursor and the keys", arguments: ["q", "C-c", "C-\\"])
    func cleanScreen(key: String) async throws {
        try await inSandbox { box in
            let shell = try await Tmux(["bash", "--norc", "--noprofile"], in: box, environment: ["PS1": "<ready> ", "QQ": Sandbox.binary])
            try await shell.expect("<ready>")
            // Ctrl-\ would leave a core file.
            try await shell.enter("ulimit -c 0; stty -a >before; echo first")
            try await shell.expectLast("<ready>")
            let before = try await shell.screen()
            try await shell.enter("$QQ watch web")
            try await shell.expect("ELECTION")
            #expect(try await shell.showsOtherScreen)
            // Keys without a meaning are not shown.
            try await shell.type("xyz")
            try await shell.press(key)
            try await shell.wait(for: "the shell's screen") { !$0.contains("ELECTION") && $0.contains("first") }
            try await shell.wait(for: "the prompt") { $0.hasSuffix("<ready>") }
            #expect(try await shell.screen().hasPrefix(before))
            #expect(try await !shell.screen().contains("xyz"))
            try await shell.enter("stty -a >after; echo done")
            try await shell.expect("done\n")
            #expect(readText(box.path("after")) == readText(box.path("before")))
            try await shell.enter("exit")
            try await shell.end()
        }
    }

    @Test("Ctrl-Z restores the shell's screen, and fg draws the live view again")
    func suspended() async throws {
        try await inSandbox { box in
            let shell = try await Tmux(["bash", "--norc", "--noprofile"], in: box, environment: ["PS1": "<ready> ", "QQ": Sandbox.binary])
            try await shell.expect("<ready>")
            try await shell.enter("$QQ watch web")
            try await shell.expect("web       nobody")
            try await shell.press("C-z")
            try await shell.expect("Stopped")
            try await shell.wait(for: "the shell's screen") { !$0.contains("ELECTION") }
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            try await shell.enter("fg")
            try await shell.expect("web  elected  n1")
            try await shell.press("q")
            try await shell.wait(for: "the shell's screen") { !$0.contains("ELECTION") }
            try await shell.enter("exit")
            try await shell.end()
        }
    }

    @Test("the live view adapts to a resized terminal")
    func resized() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "a-rather-long-identity/1234/abcdef", "--ttl", "60s")
            let view = try await watch(in: box)
            try await view.expect("a-rather-long-identity")
            for (columns, rows) in [(40, 10), (20, 5), (120, 40), (80, 24)] {
                try await view.resize(columns: columns, rows: rows)
                // Text that does not fit is cut, and no line wraps.
                try await view.wait(for: "a picture of \(columns) columns") { screen in
                    let lines = screen.split(separator: "\n", omittingEmptySubsequences: false)
                    return lines.first?.hasPrefix("qq watch  file:") == true && lines.count > 2 && lines[1].isEmpty
                        && lines[2].hasPrefix("ELECT") && lines[3].hasPrefix("web")
                        && (columns < 80 || lines[3].contains("a-rather-long"))
                }
            }
            try await view.press("q")
            try await view.end()
        }
    }

    @Test("watch --until ends the live view, and prints the result on the normal screen")
    func until() async throws {
        try await inSandbox { box in
            let view = try await watch(["--until", "led"], in: box)
            try await view.expect("db        nobody")
            for name in ["web", "db"] { _ = try await box.run("acquire", name, "--id", "n1", "--ttl", "60s") }
            let ending = try await view.end()
            #expect(ending == .exited(0))
            let screen = try await view.screen()
            #expect(screen.contains("web  elected  n1  token 1") && screen.contains("db  elected  n1  token 1"))
            #expect(!screen.contains("ELECTION"))
        }
    }

    @Test("watch prints lines if it cannot draw: with --exec, TERM=dumb or --json")
    func lines() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            for (options, environment) in [(["--exec", "true"], [:]), ([], ["TERM": "dumb"]), (["--json"], [:])] {
                let view = try await watch(options + ["--until", "leader=n1"], in: box, environment: environment)
                try await view.expect("n1")
                #expect(try await !view.showsOtherScreen)
                #expect(try await !view.screen().contains("ELECTION"))
                _ = try await box.run("acquire", "db", "--id", "n1", "--ttl", "60s")
                try await view.end()
                _ = try await box.run("release", "db")
            }
        }
    }

    @Test("watch in a shell's background prints lines, and leaves keys and screen to the shell")
    func behind() async throws {
        try await inSandbox { box in
            let shell = try await Tmux(["bash", "--norc", "--noprofile"], in: box, environment: ["PS1": "<ready> ", "QQ": Sandbox.binary])
            try await shell.expect("<ready>")
            try await shell.enter("$QQ watch web &")
            try await shell.expect("web  free")
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            try await shell.expect("web  elected  n1")
            #expect(try await !shell.showsOtherScreen)
            try await shell.enter("kill %1; wait; echo still here")
            try await shell.expect("still here\n")
            try await shell.enter("exit")
            try await shell.end()
        }
    }

    @Test("the live view has no colours with NO_COLOR, and the same words")
    func noColor() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
            let plain = try await watch(in: box, environment: ["NO_COLOR": "1"])
            try await plain.expect("web       n1")
            #expect(try await !plain.coloredScreen().contains("\u{1b}[3"))
            let colored = try await watch(in: box)
            try await colored.expect("web       n1")
            #expect(try await colored.coloredScreen().contains("\u{1b}[32m"))
            for view in [plain, colored] {
                try await view.press("q")
                try await view.end()
            }
        }
    }
}
