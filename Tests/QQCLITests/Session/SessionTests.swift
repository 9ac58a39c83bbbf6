import QQCore
import QQLoop
import QQREPL
import Testing

@testable import QQCLI

@Suite("A session") struct SessionUnitTests {
    private func session(_ line: String = "repl -s file:///nowhere --id me") throws -> Session {
        Session(try invocation(line), loop: try MainLoop(), isInteractive: true)
    }

    @Test("a session adds its own flags to a command that does not give them") func filled() throws {
        let session = try session("repl -s file:///a --id me --quiet")
        let plain = session.filled(try invocation("status web"))
        #expect(plain[Flags.server] == "file:///a" && plain[Flags.id] == "me" && plain[Flags.quiet])
        let own = session.filled(try invocation("status web --id other"))
        #expect(own[Flags.id] == "other" && own.values.filter { $0.name == "id" }.count == 1)
        // The identity belongs to the session's server.
        let elsewhere = session.filled(try invocation("status web -s file:///b"))
        #expect(elsewhere[Flags.server] == "file:///b" && elsewhere[Flags.id] == nil)
        let loud = session.filled(try invocation("status web --verbose"))
        #expect(loud[Flags.verbose] && !loud[Flags.quiet])
    }

    @Test("a session passes a guarded command on word for word") func words() throws {
        let session = try session()
        let line = try invocation(["acquire", "x", "--wait=5s", "--require-token", "--", "sh", "-c", "a  'b'", ""])
        #expect(
            session.words(of: session.filled(line)) == [
                "qq", "acquire", "--wait=5s", "--require-token", "--server=file:///nowhere", "--id=me", "x", "--", "sh", "-c", "a  'b'", "",
            ])
        let alone = try invocation(["acquire", "x", "--wait", "-s", "file:///b", "--", "true"])
        #expect(session.words(of: session.filled(alone)) == ["qq", "acquire", "--wait", "--server=file:///b", "x", "--", "true"])
        #expect(try invocation(Array(session.words(of: session.filled(line)).dropFirst())).trailing == line.trailing)
    }

    @Test("a session shows no credentials") func shown() {
        #expect(Session.shown("watch web -s nats://me:p@n1:4222 &") == "watch web -s nats://***@n1:4222 &")
        #expect(Session.shown("status --server=tls://token@n1  x") == "status --server=tls://***@n1  x")
        #expect(Session.shown("status -s file:///a@b") == "status -s file:///a@b")
    }

    @Test("a session offers the words that can stand at the cursor") func candidates() throws {
        let session = try session()
        func words(_ before: String) -> [String] { session.candidates(before).words }
        #expect(words("st") == ["status", "step-down", "stop"])
        #expect(words("").contains("leases") && words("").contains("acquire") && !words("").contains("__complete"))
        #expect(words("status --exp") == ["--expires-within"])
        #expect(words("status --color ") == ["auto", "always", "never"])
        #expect(words("status --color=a") == ["--color=auto", "--color=always"])
        #expect(words("status --no-such=a").isEmpty)
        #expect(words("help sta") == ["status"])
        #expect(words("help hist") == ["history"])
        #expect(words("completions ") == ["bash", "zsh", "fish"])
        #expect(words("status -s na") == ["nats://"])
        #expect(words("nonsense ").isEmpty && words("__complete ").isEmpty && words("leases ").isEmpty)
        #expect(session.candidates("status --creds ").areFiles && session.candidates("status --creds=").areFiles)
        #expect(session.candidates("acquire x -- ").areFiles && !session.candidates("status ").areFiles)
    }

    @Test("a session offers names that can be typed, and none that would be taken for a flag") func names() throws {
        let session = try session()
        session.state.withLock { state in
            state.elections = ["web", "$(x) y", "-x", "--all", "a\nb", "\u{1b}[2J", "a\u{FFFD}", ""].map {
                ElectionState(name: $0, phase: .free)
            }
        }
        #expect(session.candidates("status ").words == ["$(x) y", "web"])
        #expect(session.candidates("status '$(x").words == ["$(x) y"])
        #expect(session.candidates("status -- ").words == ["$(x) y", "--all", "-x", "web"])
        #expect(session.candidates("status -- -").words == ["--all", "-x"])
    }

    @Test("a session has lost a lease whose time is over, unless the session is releasing it") func overdue() {
        let end = BootInstant(nanoseconds: 20_000_000_000)
        let wall = WallTime(seconds: 1_795_260_659)
        let grant = Grant(
            name: "x", identity: "me", token: FencingToken(1), ttl: .seconds(15), deadline: end, acquiredAt: wall, expiresAt: wall)
        let leases = [("web", grant, true), ("db", grant, true), ("released", grant, false), ("waiting", nil, true)]
        #expect(SessionLeases.overdue(leases, at: end - .nanoseconds(1)) == [])
        #expect(SessionLeases.overdue(leases, at: end) == ["db", "web"])
    }

    @Test("a line with only a script is a session") func script() throws {
        let parsed = try invocation(["-f", "file", "--keep-going"])
        #expect(parsed.command.id == .repl && parsed[Flags.script] == "file" && parsed[Flags.keepGoing])
        #expect(problem(["-f", "file", "status", "x"])?.message == "--script is not a flag of status")
        #expect(problem(["-f"])?.message == "-f needs a value")
    }
}
