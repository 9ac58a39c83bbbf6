import Glibc

// Usage: harness QQ [ROUNDS [SECONDS]]
// The session at a terminal: the time to its first prompt, the delay until it shows an event, and whether its memory grows while it holds
// 100 leases.

let words = CommandLine.arguments
guard words.count >= 2 else { stop("run me with make bench-session") }
let qq = words[1]
let rounds = words.count > 2 ? Int(words[2]) ?? 100 : 100
let seconds = words.count > 3 ? Int(words[3]) ?? 60 : 60

var template = Array("/dev/shm/qq-bench-XXXXXX".utf8CString)
guard mkdtemp(&template) != nil else { stop("no folder in /dev/shm") }
let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
for name in ["leases", "home", "run"] { mkdir("\(folder)/\(name)", 0o700) }
let environment = [
    "QQ_SERVER": "file://\(folder)/leases", "HOME": "\(folder)/home", "XDG_STATE_HOME": "\(folder)/home",
    "XDG_CONFIG_HOME": "\(folder)/home",
    "XDG_RUNTIME_DIR": "\(folder)/run", "TERM": "xterm", "NO_COLOR": "1", "PS1": "ready> ", "INPUTRC": "/dev/null",
]
let prompt = "file> "

prompts()
events()
memory()
_ = Child(["/bin/rm", "-rf", folder]).wait()

/// Measures the time from the start of the process to the end of its first prompt.
func prompts() {
    var times: [[UInt64]] = [[], []]
    let programs: [(words: [String], prompt: String)] = [([qq], prompt), (["/bin/bash", "--norc", "--noprofile", "-i"], "ready> ")]
    for round in 0..<rounds + 5 {
        for (place, program) in programs.enumerated() {
            let start = now()
            let terminal = Terminal(program.words, environment: environment)
            let time = terminal.expect(program.prompt) - start
            terminal.end()
            if round >= 5 { times[place].append(time) }
        }
    }
    show([Row("first prompt", median(times[0]), "bash --norc -i", median(times[1]))])
    tell("prompt", times[0], aim: 25_000_000)
}

/// Measures how soon the session shows a change of an election that it watches in the background. The change is taken to have happened when
/// the `qq` that made it has printed so. The measured time is therefore a lower bound, which counts as 0 if the session was faster.
func events() {
    let terminal = Terminal([qq], environment: environment)
    terminal.expect(prompt)
    terminal.type("watch web &\n")
    terminal.expect("web  free")
    terminal.type("status w")
    var times: [UInt64] = []
    for round in 0..<rounds {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { stop("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let child = Child([qq, "acquire", "web", "--id", "n\(round)", "--ttl", "60s"], environment: environment, output: ends[1])
        close(ends[1])
        var byte: UInt8 = 0
        _ = read(ends[0], &byte, 1)
        let happened = now()
        let shown = terminal.expect("elected  n\(round)  token")
        times.append(shown > happened ? shown - happened : 0)
        close(ends[0])
        child.wait()
        Child([qq, "release", "web"], environment: environment).wait()
        terminal.expect("released")
    }
    terminal.end()
    tell("event on the screen after it happened", times, aim: 20_000_000)
}

/// Holds 100 leases that are renewed much more often than usual. One day of 15 s leases is 17,280 renewals each.
func memory() {
    let count = 100
    let terminal = Terminal([qq], environment: environment)
    terminal.expect(prompt)
    for number in 0..<count {
        terminal.type("acquire lease-\(number) --ttl 2s --renew-every 20ms\n")
        terminal.expect("acquired lease-\(number) for")
    }
    func resident() -> Int { kilobytes("VmRSS", in: "/proc/\(terminal.pid)/status") }
    /// A renewal is one write to a lease file.
    func writes() -> Int { kilobytes("syscw", in: "/proc/\(terminal.pid)/io") }
    var sizes: [Int] = []
    let (ticks, writesBefore) = (processorTicks(terminal.pid), writes())
    for _ in 0..<10 {
        let end = now() + UInt64(seconds) * 100_000_000
        while now() < end {
            terminal.read()
            usleep(50_000)
        }
        sizes.append(resident())
    }
    let used = processorTicks(terminal.pid) - ticks
    print("memory with \(count) leases, after each tenth of \(seconds) s: " + sizes.map { "\($0)" }.joined(separator: " ") + " kB")
    let renewals = (writes() - writesBefore) / count
    print(
        "processor: \(decimal(Double(used) / Double(sysconf(Int32(_SC_CLK_TCK))), 1)) s of \(seconds) s; \(renewals) renewals of each lease, by the writes of "
            + "the process: \(decimal(Double(renewals) / 17_280 * 24, 1)) hours of leases of 15 s")
    terminal.end()
}

func tell(_ what: String, _ times: [UInt64], aim: UInt64) {
    let sorted = times.sorted()
    let worst = sorted[min(sorted.count * 95 / 100, sorted.count - 1)]
    print(
        "\(what): median \(milliseconds(median(times))), 95 of 100 within \(milliseconds(worst)); aim \(milliseconds(aim)): "
            + (worst <= aim ? "met" : "NOT MET") + "\n")
}
