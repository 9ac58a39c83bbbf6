import Glibc
import Support
import Testing

@Suite("qq in an interactive shell")
struct JobControlTests {
    /// A lease that ends soon unless it is renewed, and is renewed often.
    private static let often = "--ttl 3s --renew-every 300ms --kill-after 100ms"

    @Test("Ctrl-Z stops a job while its lease is renewed, fg continues it, and Ctrl-C ends it")
    func suspend() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            try await shell.run("$QQ acquire x \(Self.often) -- sh -c 'echo at work; exec $STAMP stamps'", "at work")
            _ = try await box.waitForTerms(1)
            shell.at.type(Terminal.suspend)
            try await shell.at.expect("Stopped")
            try await shell.prompt()
            let stopped = box.stamps().all.count
            try await Task.sleep(for: .milliseconds(3500))
            #expect(box.stamps().all.count == stopped)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            shell.at.type("fg\n")
            try await waitUntil("the job continues") { box.stamps().all.count > stopped }
            shell.at.type(Terminal.interrupt)
            try await shell.prompt()
            try await shell.run("echo code $?", "code 130")
            #expect(box.stamps().terms.count == 1)
            #expect(try await box.run("status", "x").ending == .exited(1))
            try await shell.leave()
        }
    }

    @Test("bg continues a stopped job, and the shell keeps the terminal")
    func background() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            try await shell.run("$QQ acquire x -- sh -c 'echo at work; exec $STAMP stamps'", "at work")
            _ = try await box.waitForTerms(1)
            shell.at.type(Terminal.suspend)
            try await shell.at.expect("Stopped")
            try await shell.prompt()
            let stopped = box.stamps().all.count
            shell.at.type("bg\n")
            try await waitUntil("the job continues") { box.stamps().all.count > stopped }
            try await shell.run("echo still $((40+2))", "still 42")
            try await shell.run("kill %1; wait %1; echo code $?", "code 143")
            try await shell.leave()
        }
    }

    @Test("a job started with & runs in the background, and fg brings it to the foreground")
    func startedBehind() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            shell.at.type("$QQ acquire x -- sh -c 'while [ ! -e go ]; do sleep 0.02; done; read line; echo got $line' &\n")
            try await waitUntil("the job runs") { readText(box.leaseFile("x")).contains("locked") }
            try await shell.run("echo still $((40+2))", "still 42")
            try await shell.prompt()
            shell.at.type("fg\n")
            try await shell.at.expect("acquire x")
            try box.write("", to: "go")
            shell.at.type("a line\n")
            try await shell.at.expect("got a line")
            try await shell.prompt()
            try await shell.run("echo code $?", "code 0")
            try await shell.leave()
        }
    }

    @Test("keepalive --until-eof in the background leaves to others what is typed, and renews its lease")
    func holdsBehind() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            shell.at.type("$QQ keepalive x --until-eof --ttl 2s --renew-every 300ms >held 2>&1 &\n")
            try await waitUntil("the lease is held") { box.read("held").contains("elected") }
            // The line waits while nobody else reads.
            shell.at.type("sleep 2; echo woken''\necho typed''\n")
            try await shell.at.expect("woken")
            try await shell.at.expect("typed")
            #expect(try await box.outlivesItsDeadline("x"))
            try await shell.run("kill %1; wait %1; echo code $?", "code 0")
            try await shell.leave()
        }
    }

    @Test("a background job that reads the terminal is stopped until fg")
    func readsBehind() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            shell.at.type("$QQ acquire x \(Self.often) -- sh -c 'read line; echo got $line' &\n")
            try await waitUntil("the command is stopped") { box.living.contains { $0.name == "sh" && $0.isStopped } }
            try await waitUntil("the shell's job is stopped") { box.living.contains { $0.name == "qq-front" && $0.isStopped } }
            try await shell.run("jobs", "Stopped")
            try await Task.sleep(for: .milliseconds(3500))
            #expect(try await box.run("status", "x").ending == .exited(0))
            shell.at.type("fg\n")
            try await Task.sleep(for: .milliseconds(200))
            shell.at.type("a line\n")
            try await shell.at.expect("got a line")
            try await shell.prompt()
            try await shell.leave()
        }
    }

    @Test("pipelines work with qq at any position")
    func pipelines() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            try await shell.run("$QQ acquire x -- echo first | tr a-z A-Z", "FIRST")
            try await shell.run("echo last | $QQ acquire x -- tr a-z A-Z", "LAST")
            try await shell.run("echo middle | $QQ acquire x -- tr a-z A-Z | sed s/MIDDLE/between/", "between")
            try await shell.run("$QQ acquire x -- echo one | $QQ acquire y -- sed s/one/both/", "both")
            try await shell.run("$QQ acquire x -- sh -c 'exit 5' | cat; echo codes ${PIPESTATUS[@]}", "codes 5 0")
            try await shell.run("yes | $QQ acquire x -- head -n 1 | sed s/y/cut/", "cut")
            try await shell.prompt()
            try await shell.leave()
        }
    }

    @Test("a command at the end of a pipeline can read the terminal through /dev/tty")
    func readsTerminalInPipeline() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            shell.at.type("echo data | $QQ acquire x -- sh -c 'read data; echo asking; read answer </dev/tty; echo $data and $answer'\n")
            try await shell.at.expect("asking")
            shell.at.type("answer\n")
            try await shell.at.expect("data and answer")
            try await shell.prompt()
            try await shell.leave()
        }
    }

    @Test("Ctrl-C in a script ends the script, as it would without qq")
    func script() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            try box.write("$QQ acquire x -- sh -c 'echo at work; exec sleep 600'\necho the script went on\n", to: "script")
            try await shell.run("bash script", "at work")
            shell.at.type(Terminal.interrupt)
            try await shell.prompt()
            try await shell.run("echo code $?", "code 130")
            #expect(!shell.at.screen.contains("went on"))
            try await shell.leave()
        }
    }

    @Test("the shell has the terminal again after a guarded command")
    func givenBack() async throws {
        try await inSandbox { box in
            let shell = try await Shell(in: box)
            for _ in 0..<5 { try await shell.run("$QQ acquire x -- true; echo code $?", "code 0") }
            try await shell.run("$QQ acquire x -- sh -c 'kill -9 $$'; echo code $?", "code 137")
            try await shell.run("read line; echo got $line\nsomething", "got something")
            try await shell.leave()
        }
    }
}
