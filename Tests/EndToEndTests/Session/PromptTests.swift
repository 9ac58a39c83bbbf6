import Glibc
import Support
import Testing

@Suite("The prompt of a session")
struct PromptTests {
    @Test("the prompt names the system and the held leases with the time left")
    func leases() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --ttl 30s", "acquired web for 30s")
            try await person.terminal.wait(for: "web with its time in the prompt") {
                ["file web 30s>", "file web 29s>"].contains(AtPrompt.last($0))
            }
            try await person.run("acquire api --ttl 60s", "acquired api for 1m")
            try await person.terminal.wait(for: "both, by name") {
                AtPrompt.last($0).hasPrefix("file api ") && AtPrompt.last($0).contains("s web ")
            }
            try await person.run("release web", "released web")
            try await person.terminal.wait(for: "api alone") {
                AtPrompt.last($0).hasPrefix("file api ") && !AtPrompt.last($0).contains("web")
            }
            #expect(box.holder("web").isEmpty && !box.holder("api").isEmpty)
            try await person.leave()
        }
    }

    @Test("qq without a command starts a session, with flags or without")
    func noCommand() async throws {
        try await inSandbox { box in
            for flags in [[], ["-s", "file://" + box.path("elsewhere"), "--quiet"]] {
                let terminal = try await Tmux([Sandbox.binary] + flags, in: box)
                try await terminal.expectLast("file>")
                try await terminal.enter("exit")
                #expect(try await terminal.end() == .exited(0))
            }
        }
    }

    @Test("the prompt counts the time down while a line is typed, and up again with each renewal")
    func time() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --ttl 6s", "acquired web")
            try await person.terminal.type("half")
            try await person.terminal.wait(for: "less time") { AtPrompt.last($0) == "file web 5s> half" }
            try await person.terminal.wait(for: "a renewal") { AtPrompt.last($0) == "file web 6s> half" }
            try await person.terminal.press("C-u")
            try await person.leave()
        }
    }

    @Test("the prompt marks a lease that is not renewed in time, until it is lost")
    func late() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --ttl 4s", "acquired web")
            let file = open(box.leaseFile("web"), O_RDONLY | O_CLOEXEC)
            defer { close(file) }
            // No process can renew now.
            try await waitUntil("the lock") { flock(file, LOCK_EX | LOCK_NB) == 0 }
            try await person.terminal.wait(for: "a mark in the prompt") {
                AtPrompt.last($0).hasPrefix("file web ") && AtPrompt.last($0).hasSuffix("s!>")
            }
            try await person.terminal.expect("web: lost: not renewed in time")
            try await person.terminal.expectLast("file>")
            flock(file, LOCK_UN)
            try await person.leave()
        }
    }

    @Test("the prompt names the context, and 'use' chooses another one for later commands")
    func contexts() async throws {
        try await inSandbox { box in
            let environment = try box.writeContexts("prod", "test", current: "prod")
            let person = try await AtPrompt(in: box, prompt: "prod file>", environment: environment)
            try await person.run("acquire web", "acquired web")
            #expect(readText(box.path("prod/web.json")).contains("\"holder\""))
            try await person.run("use test", "test file ")
            try await person.run("acquire api", "acquired api")
            #expect(readText(box.path("test/api.json")).contains("\"holder\""))
            #expect(access(box.path("prod/api.json"), F_OK) != 0)
            // Leases in the other context stay held.
            try await person.run("leases", "file://\(box.path("prod"))")
            try await person.run("use nowhere", "qq: no context is called 'nowhere'")
            try await person.leave()
            for file in ["prod/web.json", "test/api.json"] { #expect(readText(box.path(file)).contains("\"holder\": \"\""), "\(file)") }
        }
    }

    @Test("a context chosen with 'use' overrides QQ_SERVER")
    func chosen() async throws {
        try await inSandbox { box in
            _ = try box.writeContexts("prod")
            let person = try await AtPrompt(in: box)
            try await person.run("use prod", "prod file>")
            try await person.run("acquire web", "acquired web")
            #expect(readText(box.path("prod/web.json")).contains("\"holder\""))
            #expect(access(box.leaseFile("web"), F_OK) != 0)
            try await person.leave()
        }
    }

    @Test("the prompt leaves half of a narrow line for typing")
    func narrow() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, columns: 24)
            try await person.run("acquire an-election-with-a-long-name", "acquired")
            try await person.terminal.expectLast("file 1>")
            try await person.terminal.resize(columns: 100)
            try await person.terminal.press("Enter")
            try await person.terminal.wait(for: "the name") { AtPrompt.last($0).hasPrefix("file an-election-with-a-long-name ") }
            try await person.leave()
        }
    }
}
