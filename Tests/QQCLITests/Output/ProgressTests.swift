import QQCore
import Synchronization
import Testing

@testable import QQCLI

@Suite("Progress line") struct ProgressLineTests {
    private func after(_ duration: Duration) -> BootInstant { BootInstant(nanoseconds: 1_000_000_000_000) + duration }

    private func line(_ text: String, _ style: ProgressLine.Style = .init()) -> ProgressLine {
        var line = ProgressLine(style)
        line.wait(for: text, at: after(.zero))
        return line
    }

    @Test("the progress line shows nothing for half a second and then the waiting time") func patience() {
        let line = line("asking nats://h1:4222")
        #expect(line.text(at: after(.milliseconds(499)), width: 80) == nil)
        #expect(line.next(after: after(.zero)) == after(.milliseconds(500)))
        #expect(line.text(at: after(.milliseconds(500)), width: 80) == "⠴ asking nats://h1:4222  0.5s")
        #expect(line.next(after: after(.milliseconds(500))) == after(.milliseconds(600)))
        #expect(line.text(at: after(.milliseconds(1400)), width: 80) == "⠼ asking nats://h1:4222  1.4s")
    }

    @Test(
        "the progress line writes the time no wider than needed",
        arguments: [
            (500, "0.5s"), (999, "0.9s"), (1000, "1.0s"), (1050, "1.0s"), (9999, "9.9s"), (10_000, "10s"), (12_345, "12s"),
            (59_999, "59s"), (65_000, "1m05s"), (3_720_000, "1h02m"),
        ]) func time(milliseconds: Int64, text: String)
    {
        #expect(ProgressLine.text(.milliseconds(milliseconds)) == text)
    }

    @Test("a new text in the progress line continues the count or restarts it") func changes() {
        var line = line("asking h1")
        line.wait(for: "x: held by n1", at: after(.seconds(2)))
        #expect(line.text(at: after(.seconds(3)), width: 80) == "⠋ x: held by n1  3.0s")
        line.wait(for: "asking h1", anew: true, at: after(.seconds(3)))
        #expect(line.text(at: after(.milliseconds(3400)), width: 80) == nil)
        #expect(line.text(at: after(.milliseconds(3600)), width: 80) == "⠦ asking h1  0.6s")
        line.end()
        #expect(line.text(at: after(.seconds(10)), width: 80) == nil && line.next(after: after(.seconds(10))) == nil)
    }

    @Test("the progress line leaves room for ^C however narrow the terminal is", arguments: 0...40) func width(columns: Int) {
        for text in ["x: held by a-holder-with-a-long-name, waiting for its turn", "領導者領導者領導者領導者", "é"] {
            for waited in [Duration.milliseconds(700), .seconds(75), .seconds(4000)] {
                let shown = line(text).text(at: after(waited), width: columns)
                let width = (shown ?? "").reduce(0) { $0 + $1.columns }
                #expect(width <= max(columns - 3, 0), "\(shown ?? "")")
                if columns >= 20 { #expect(shown?.hasSuffix(ProgressLine.text(waited)) == true, "\(shown ?? "")") }
            }
        }
    }

    @Test("the progress line is cut with a mark, by columns and not by letters") func cut() {
        #expect(ProgressLine.cut("abcdef", to: 6, mark: "…") == "abcdef")
        #expect(ProgressLine.cut("abcdefg", to: 6, mark: "…") == "abcde…")
        #expect(ProgressLine.cut("領導者導", to: 6, mark: "…") == "領導…")
    }

    @Test("the progress line has Unicode and colours only if the terminal has them") func looks() {
        let plain = line("x", .init(isUnicode: false)).text(at: after(.milliseconds(600)), width: 80)
        #expect(plain == "- x  0.6s")
        #expect(line("abcdefghij", .init(isUnicode: false)).text(at: after(.milliseconds(600)), width: 18) == "- abcdef.  0.6s")
        let colored = line("x", .init(hasColors: true)).text(at: after(.milliseconds(600)), width: 80)
        #expect(colored == "⠦ x  \u{1b}[2m0.6s\u{1b}[0m")
    }

    @Test("the progress line shows control characters from outside as text") func controls() {
        #expect(line("held by \u{1b}[2Jme\n").text(at: after(.seconds(1)), width: 80) == "⠋ held by \\x1b[2Jme\\x0a  1.0s")
    }
}

@Suite("Progress") struct ProgressTests {
    /// Keeps what a terminal would show, and everything that was written to it.
    private final class Paper: Sendable {
        private let state = Mutex((shown: String?.none, all: [String?](), isOurs: true))
        var shown: String? { state.withLock { $0.shown } }
        var all: [String?] { state.withLock { $0.all } }
        func isOurs(_ isOurs: Bool) { state.withLock { $0.isOurs = isOurs } }

        var terminal: Progress.Terminal {
            .init(
                width: { 80 }, isOurs: { self.state.withLock { $0.isOurs } },
                show: { text in
                    self.state.withLock {
                        $0.shown = text
                        $0.all.append(text)
                    }
                })
        }
    }

    /// A clock that the test moves.
    private final class Clock: LeaseClock {
        private struct Sleeper {
            let id: Int
            let until: BootInstant
            let continuation: CheckedContinuation<Void, any Error>
        }

        private let state = Mutex((now: BootInstant(nanoseconds: 1), sleepers: [Sleeper](), next: 0))

        func now() -> BootInstant { state.withLock { $0.now } }
        var sleepers: Int { state.withLock { $0.sleepers.count } }

        func sleep(until deadline: BootInstant) async throws {
            let id = state.withLock { state in
                state.next += 1
                return state.next
            }
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let isCancelled = state.withLock { state in
                        if !Task.isCancelled { state.sleepers.append(Sleeper(id: id, until: deadline, continuation: continuation)) }
                        return Task.isCancelled
                    }
                    if isCancelled { continuation.resume(throwing: CancellationError()) }
                }
            } onCancel: {
                let sleeper = state.withLock { state in
                    state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
                }
                sleeper?.continuation.resume(throwing: CancellationError())
            }
        }

        /// Moves the time once a task sleeps, and waits until one sleeps again.
        func move(by duration: Duration) async throws {
            try await until("a task sleeps") { sleepers > 0 }
            let due = state.withLock { state in
                state.now = state.now + duration
                let due = state.sleepers.filter { $0.until <= state.now }
                state.sleepers.removeAll { $0.until <= state.now }
                return due
            }
            for sleeper in due { sleeper.continuation.resume() }
            try await until("a task sleeps again") { sleepers > 0 }
        }

        func until(_ what: String, _ condition: () -> Bool) async throws {
            let end = ContinuousClock.now + .seconds(120)
            while !condition() {
                try #require(ContinuousClock.now < end, "waited in vain: \(what)")
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    private func progress() -> (Progress, Paper, Clock) {
        let (paper, clock) = (Paper(), Clock())
        return (Progress(.init(), on: paper.terminal, clock: clock, executor: nil), paper, clock)
    }

    @Test("progress appears after half a second, moves, and disappears without a trace") func comesAndGoes() async throws {
        let (progress, paper, clock) = progress()
        progress.wait(for: "asking h1")
        try await clock.move(by: .milliseconds(499))
        #expect(paper.all.isEmpty)
        try await clock.move(by: .milliseconds(1))
        #expect(paper.shown == "⠴ asking h1  0.5s")
        progress.wait(for: "x: held by n1")
        try await clock.move(by: .milliseconds(100))
        #expect(paper.shown == "⠦ x: held by n1  0.6s")
        progress.end()
        #expect(paper.shown == nil && paper.all.count == 3)
        try await clock.until("the drawing has ended") { clock.sleepers == 0 }
    }

    @Test("progress writes nothing at all if the wait is short") func fast() async throws {
        let (progress, paper, clock) = progress()
        progress.wait(for: "asking h1")
        try await clock.move(by: .milliseconds(400))
        progress.takeOff()
        progress.end()
        #expect(paper.all.isEmpty)
        try await clock.until("the drawing has ended") { clock.sleepers == 0 }
    }

    @Test("progress makes room for other output and returns at the next step") func makesRoom() async throws {
        let (progress, paper, clock) = progress()
        progress.wait(for: "asking h1")
        try await clock.move(by: .seconds(1))
        progress.takeOff()
        progress.takeOff()
        #expect(paper.all == ["⠋ asking h1  1.0s", nil])
        try await clock.move(by: .milliseconds(100))
        #expect(paper.shown == "⠙ asking h1  1.1s")
        progress.end()
    }

    @Test("progress is hidden while it is paused and while the terminal belongs to another process") func staysAway() async throws {
        let (progress, paper, clock) = progress()
        progress.wait(for: "asking h1")
        paper.isOurs(false)
        try await clock.move(by: .seconds(1))
        #expect(paper.all.isEmpty)
        paper.isOurs(true)
        progress.pause()
        progress.pause()
        progress.goOn()
        try await clock.move(by: .seconds(1))
        #expect(paper.all.isEmpty)
        progress.goOn()
        try await clock.move(by: .milliseconds(100))
        #expect(paper.shown == "⠙ asking h1  2.1s")
        progress.pause()
        #expect(paper.shown == nil)
        progress.end()
    }

    @Test("a change of text shows no progress unless something is waited for") func changeOnly() async throws {
        let (progress, paper, clock) = progress()
        progress.change(to: "trying again at h1")
        #expect(clock.sleepers == 0)
        progress.wait(for: "asking h1")
        progress.change(to: "trying again at h1")
        try await clock.move(by: .seconds(1))
        #expect(paper.shown == "⠋ trying again at h1  1.0s")
        progress.end()
        progress.change(to: "trying again at h1")
        try await clock.until("the drawing has ended") { clock.sleepers == 0 }
        #expect(paper.all.count == 2)
    }
}

@Suite("Waiting texts") struct WaitingTests {
    private func state(_ phase: ElectionState.Phase, _ leader: String?) -> ElectionState {
        var state = ElectionState(name: "web", phase: phase)
        state.leader = leader
        return state
    }

    @Test("a waiting text names the holder and the number of waiters") func turn() {
        var held = state(.held, "n1")
        #expect(WaitingText.turn(held, for: "me") == "web: held by n1, waiting for its turn")
        held.waiters = 3
        #expect(WaitingText.turn(held, for: "me") == "web: held by n1, waiting for its turn, one of 3")
        #expect(WaitingText.turn(state(.held, nil), for: "me") == "web: held by a command whose lease was removed, waiting for its turn")
        #expect(WaitingText.turn(state(.unknown, nil), for: "me") == "web: held by another contender, waiting for its turn")
        #expect(WaitingText.turn(state(.expired, "n1"), for: "me") == "web: waiting for its turn")
        var cooling = state(.free, nil)
        cooling.cooldown = .seconds(3)
        #expect(WaitingText.turn(cooling, for: "me") == "web: free, but me stepped down and has to wait")
    }

    @Test("the waiting text of many elections names the latest and counts the others") func many() throws {
        let server = try Systems.url("nats://h1:4222")
        let grant = Grant(
            name: "b", identity: "me", token: FencingToken(1), termID: nil, ttl: .seconds(15),
            deadline: BootInstant(nanoseconds: 0), acquiredAt: .now(), expiresAt: .now())
        var waits = WaitingTexts()
        #expect(waits.text == nil)
        for name in ["a", "b", "c"] { waits.set(name, WaitingText.asking(server, for: name)) }
        #expect(waits.text == "c: asking nats://h1:4222 (and 2 more)")
        waits.take(.elected(grant), of: "c", for: "me", at: server)
        waits.take(.waiting(state(.held, "n1")), of: "a", for: "me", at: server)
        #expect(waits.text == "web: held by n1, waiting for its turn (and 1 more)")
        waits.take(.elected(grant), of: "a", for: "me", at: server)
        waits.take(.extended(grant), of: "b", for: "me", at: server)
        #expect(waits.text == nil)
        waits.take(
            .retrying(CoordinationError(.unavailable, "cannot renew b", because: "gone"), after: .seconds(1)), of: "b", for: "me",
            at: server)
        #expect(waits.text == "b: trying again at nats://h1:4222")
    }
}

@Suite("Colours") struct ColorsTests {
    @Test(
        "colours follow --color even if the command line is not understood",
        arguments: [
            (["--color=never"], ColorChoice.never), (["status", "--color", "always", "--bogus"], .always), (["--color=red"], nil),
            (["status"], nil),
            (["acquire", "x", "--", "ls", "--color=never"], nil), (["--color"], nil),
        ]) func typed(words: [String], choice: ColorChoice?)
    { #expect(Colors.typed(words) == choice) }
}
