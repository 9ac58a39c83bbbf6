import Glibc
import QQCore
import Support
import Testing

@Suite("watch")
struct WatchTests {
    @Test("watch prints the state, then each change, one JSON object a line")
    func changes() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "x", "--json")
            func events() throws -> [String] {
                try run.output.split(separator: "\n").map { try object($0)["event"]?.stringValue ?? "?" }
            }
            try await waitUntil("the state at the start") { try events() == ["state"] }
            _ = try await box.run("acquire", "x", "--id", "a")
            try await waitUntil("the election") { try events() == ["state", "elected"] }
            _ = try await box.run("keepalive", "x", "--once")
            _ = try await box.run("release", "x")
            try await waitUntil("the release") { try events() == ["state", "elected", "released"] }
            _ = try await box.run("acquire", "x", "--id", "b", "--ttl", "3s")
            try await waitUntil("the expiry") { try events() == ["state", "elected", "released", "elected", "expired"] }
            let holder = try await box.hold("x", "--ttl", "600s")
            try await waitUntil("the election") { try events().count == 6 }
            holder.child.signal(SIGKILL)
            try await waitUntil("the holder's death is reported immediately", within: .seconds(90)) { try events().last == "expired" }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
        }
    }

    @Test(
        "watch --until exits with 0 when the condition becomes true, or is true already",
        arguments: ["led", "free", "mine", "changed", "leader=a"])
    func until(_ condition: String) async throws {
        try await inSandbox { box in
            if condition == "free" { _ = try await box.run("acquire", "x", "--id", "a", "--ttl", "100s") }
            let run = try box.qq("watch", "x", "--until", condition)
            try await waitUntil("watch has started") { !run.output.isEmpty }
            #expect(run.child.isRunning)
            if condition == "free" { _ = try await box.run("release", "x") } else { _ = try await box.run("acquire", "x", "--id", "a") }
            #expect(try await run.finish(within: .seconds(90)).ending == .exited(0))
            if condition != "changed" {
                #expect(try await box.run("watch", "x", "--until", condition).ending == .exited(0))
            }
        }
    }

    @Test("watch --for ends with 75 if --until is still unmet, else with 0")
    func limited() async throws {
        try await inSandbox { box in
            #expect(try await box.run("watch", "x", "--for", "200ms").ending == .exited(0))
            let run = try await box.run("watch", "x", "--until", "led", "--for", "200ms")
            #expect(run.ending == .exited(75))
            #expect(run.errors.contains("gave up watching x"))
        }
    }

    @Test("watch --until led waits until all of several elections are led")
    func several() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "a", "b", "--until", "led")
            _ = try await box.run("acquire", "a")
            try await waitUntil("a is led") { run.output.contains("a\telected") || run.output.contains("a\tstate\t") }
            #expect(run.child.isRunning)
            _ = try await box.run("acquire", "b")
            #expect(try await run.finish().ending == .exited(0))
        }
    }

    @Test("watch --exec runs for each change, in order, and its failure changes nothing")
    func exec() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "x", "--exec", "echo $QQ_NAME $QQ_EVENT [$QQ_LEADER] >>log; exit 3")
            try await waitUntil("watch has started") { !run.output.isEmpty }
            _ = try await box.run("acquire", "x", "--id", "a")
            try await waitUntil("the first change") { box.read("log") == "x elected [a]\n" }
            _ = try await box.run("release", "x")
            try await waitUntil("the second change") { box.read("log") == "x elected [a]\nx released []\n" }
            run.child.signal(SIGTERM)
            let end = try await run.finish()
            #expect(end.ending == .exited(0))
            #expect(end.errors.contains("exit code 3"))
        }
    }

    @Test("watch waits for a default folder that does not exist yet")
    func missingFolder() async throws {
        try await inSandbox { box in
            let none = ["QQ_SERVER": ""]
            let run = try box.qqAsUser(["watch", "x", "--until", "led"], environment: none)
            try await waitUntil("watch has started") { !run.output.isEmpty }
            #expect(names(in: box.path("state")) == [])
            _ = try await box.runAsUser("acquire", "x", environment: none)
            #expect(try await run.finish().ending == .exited(0))
        }
    }

    @Test("a release of a guarded command is one change, whenever it is read")
    func oneRelease() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "x", "--exec", "echo $QQ_EVENT [$QQ_LEADER] >>log")
            try await waitUntil("watch has started") { !run.output.isEmpty }
            func count(_ event: String) -> Int { box.read("log").components(separatedBy: event + " [").count - 1 }
            for round in 1...20 {
                // The command ends as soon as its election was read.
                let term = try await box.run(
                    "acquire", "x", "--id", "a", "--", "sh", "-c",
                    "until [ $(grep -c ^elected log 2>/dev/null || true) -ge \(round) ]; do sleep 0.02; done")
                #expect(term.ending == .exited(0), "\(term.errors)")
                try await waitUntil("round \(round): \(run.output)") { count("released") == round }
            }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(!run.output.contains("\tchanged\t"), "\(run.output)")
            #expect(count("elected") == 20 && count("changed") == 0, "\(box.read("log"))")
        }
    }

    @Test("watch ended by a signal while --exec runs says so, and not that the command ran too long")
    func execEnded() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "x", "--exec", "echo started >>log; exec sleep 600")
            try await waitUntil("watch has started") { !run.output.isEmpty }
            _ = try await box.run("acquire", "x", "--id", "a")
            try await waitUntil("the command runs") { !box.read("log").isEmpty }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(run.errors.contains("it was killed, because qq was told to end"), "\(run.errors)")
        }
    }

    @Test(
        "watch and step-down poll if inotify is used up, and name the setting once",
        arguments: [("instances", "fs.inotify.max_user_instances"), ("watches", "fs.inotify.max_user_watches")])
    func noInotify(limit: String, setting: String) async throws {
        try await inSandbox { box in
            // In a user namespace, whose limits are its own.
            let prepared = [
                "unshare", "--user", "--map-root-user", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_\(limit) && exec \"$0\" \"$@\"",
            ]
            guard try await box.start(prepared + ["true"]).finish().ending == .exited(0) else {
                print("skipped: user namespaces cannot be used here")
                return
            }
            let run = try box.start(prepared + [Sandbox.binary, "watch", "x"])
            try await waitUntil("the state at the start: \(run.errors)") { run.output.contains("\tstate\t") }
            let holder = try await box.hold("x", "--id", "a")
            try await waitUntil("the election: \(run.errors)") { run.output.contains("\telected\ta\t") }
            let asked = try await box.start(
                prepared + [Sandbox.binary, "step-down", "x", "--force", "--yes"], environment: ["XDG_RUNTIME_DIR": box.path("home")]
            ).finish()
            #expect(asked.ending == .exited(0), "\(asked.errors)")
            _ = try await holder.finish()
            try await waitUntil("the release: \(run.output)") { run.output.contains("\treleased\t") }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            for errors in [run.errors, asked.errors] { #expect(errors.components(separatedBy: setting).count == 2, "\(errors)") }
        }
    }

    @Test("watch of a missing folder exits with 78")
    func noFolder() async throws {
        try await inSandbox { box in
            let run = try await box.run("-s", "file://\(box.path("nowhere"))", "watch", "x", "--for", "1s")
            #expect(run.ending == .exited(78))
        }
    }
}
