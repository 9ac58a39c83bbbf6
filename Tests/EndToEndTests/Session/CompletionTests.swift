import Glibc
import Support
import Testing

@Suite("Tab in a session")
struct SessionCompletionTests {
    /// Types the beginning of a line, and presses Tab until it is complete, because a server's answer can take a moment.
    private func complete(_ begin: String, _ whole: String, at terminal: Tmux) async throws {
        try await terminal.type(begin)
        try await waitForLine(whole, at: terminal)
        try await terminal.press("C-a", "C-k")
        try await terminal.wait(for: "an empty line") { AtPrompt.last($0).hasSuffix(">") }
    }

    private func waitForLine(_ whole: String, at terminal: Tmux) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            try await terminal.press("Tab")
            if (try? await terminal.wait(for: whole, isJoined: true, within: .milliseconds(300)) {
                AtPrompt.last($0).hasSuffix("> " + whole)
            }) != nil {
                return
            }
        }
        throw TimedOut("Tab does not complete '\(whole)':\n\(try await terminal.screen())")
    }

    @Test("Tab completes commands, flags and their values")
    func words() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await complete("clu", "cluster-status", at: terminal)
            try await complete("hist", "history", at: terminal)
            try await complete("status --exp", "status --expires-within", at: terminal)
            try await complete("status --color n", "status --color never", at: terminal)
            try await complete("status --color=nev", "status --color=never", at: terminal)
            try await complete("help clus", "help cluster-status", at: terminal)
            try await person.leave()
        }
    }

    @Test("Tab completes elections, holders and jobs")
    func elections() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "web-front", "--id", "node-7")
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await complete("status we", "status web-front", at: terminal)
            try await complete("watch --json we", "watch --json web-front", at: terminal)
            try await complete("step-down web-front --node no", "step-down web-front --node node-7", at: terminal)
            try await complete("release w", "release web-front", at: terminal)
            try await person.run("acquire deploy-prod", "acquired")
            try await complete("release d", "release deploy-prod", at: terminal)
            try await person.run("watch web-front &", "[1]")
            try await complete("stop ", "stop 1", at: terminal)
            try await person.leave()
        }
    }

    @Test("Tab completes contexts, and files after a flag that takes one, quoted if necessary")
    func files() async throws {
        try await inSandbox { box in
            let environment = try box.writeContexts("prod", "test")
            try box.write("x", to: "with space.creds")
            try box.write("x", to: "plain.creds")
            let person = try await AtPrompt(in: box, environment: environment)
            let terminal = person.terminal
            try await complete("use pr", "use prod", at: terminal)
            try await complete("status --context te", "status --context test", at: terminal)
            try await complete("status --context=te", "status --context=test", at: terminal)
            try await complete("status --creds \(box.path("pl"))", "status --creds \(box.path("plain.creds"))", at: terminal)
            try await complete("status --creds=\(box.path("pl"))", "status --creds=\(box.path("plain.creds"))", at: terminal)
            try await complete("status --creds \(box.path("wi"))", "status --creds '\(box.path("with space.creds"))'", at: terminal)
            try await person.leave()
        }
    }

    @Test("Tab inserts a name quoted as one word, also after an opening quote")
    func quoted() async throws {
        try await onRaftLock { place in
            let name = "a b$(x)'c"
            for other in [name, "-x", "a\u{1b}[2J", "a\u{FFFD}"] { place.cluster.acquire(other, by: "node-7", for: .seconds(60)) }
            let person = try await AtPrompt(in: place.box, prompt: "raftlock>", environment: ["QQ_SERVER": place.cluster.url])
            let terminal = person.terminal
            try await complete("status a", #"status a\ b\$(x)\'c"#, at: terminal)
            try await complete(#"status a\ b"#, #"status a\ b\$(x)\'c"#, at: terminal)
            try await complete("status \"a", #"status "a b\$(x)'c""#, at: terminal)
            try await complete("status 'a", #"status 'a b$(x)'\''c'"#, at: terminal)
            try await terminal.type("status 'a")
            try await waitForLine(#"status 'a b$(x)'\''c'"#, at: terminal)
            try await terminal.press("Enter")
            try await terminal.expect("node-7")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("Tab lists many elections without asking, and typing continues")
    func many() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "e0")
            for number in 1...150 { try box.write(readText(box.leaseFile("e0")), to: "leases/e\(number).json") }
            let person = try await AtPrompt(in: box)
            try await person.terminal.type("status e")
            let end = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < end, try await !person.terminal.screen().contains("e99") { try await person.terminal.press("Tab") }
            try await person.terminal.expect("e99")
            try await person.terminal.type("1")
            try await person.terminal.expectLast("file> status e1")
            try await person.terminal.press("C-c")
            try await person.isBack()
            try await person.leave()
        }
    }
}
