import QQCore
import Synchronization

/// An input as the answers that a cluster gives in turn, separated by lines of dashes. The words `%0` to `%9` stand for what the program under test has chosen,
/// such as the id of its lease.
final class Playback: Sendable {
    private struct State {
        var parts: [[UInt8]]
        var chosen: [UInt8: [UInt8]] = [:]
        var asked = 0
    }

    private let state: Mutex<State>
    private let input: [UInt8]
    /// More than any operation asks: pages, retries and waits are bounded.
    private static let most = 5_000

    init(_ bytes: some Collection<UInt8>) {
        input = Array(bytes)
        state = Mutex(State(parts: Self.split(input)))
    }

    private static let line = Array("\n---\n".utf8)

    static func split(_ input: [UInt8]) -> [[UInt8]] {
        var (parts, start, index): ([[UInt8]], Int, Int) = ([], 0, 0)
        while index < input.count {
            guard input[index] == line[0], input[index...].starts(with: line) else {
                index += 1
                continue
            }
            parts.append(Array(input[start..<index]))
            index += line.count
            start = index
        }
        return parts + [Array(input[start...])]
    }

    /// Notes what `%DIGIT` stands for from now on.
    func note(_ digit: Int, _ text: String) { state.withLock { $0.chosen[UInt8(clamping: 48 + digit)] = Array(text.utf8) } }

    /// The next answer; nil once the input has no more.
    /// - Parameter isWanted: whether an answer is one to this question. Others are left for later ones.
    func next(where isWanted: ([UInt8]) -> Bool = { _ in true }) -> [UInt8]? {
        let (part, chosen, asked) = state.withLock { state -> ([UInt8]?, [UInt8: [UInt8]], Int) in
            state.asked += 1
            let place = state.parts.firstIndex(where: isWanted)
            return (place.map { state.parts.remove(at: $0) }, state.chosen, state.asked)
        }
        if asked > Self.most { fail("asks forever", input) }
        guard let part, part.contains(UInt8(ascii: "%")) else { return part }
        var (filled, index) = ([UInt8](), 0)
        while index < part.count {
            if part[index] == UInt8(ascii: "%"), index + 1 < part.count, let text = chosen[part[index + 1]] {
                filled += text
                index += 2
            } else {
                filled.append(part[index])
                index += 1
            }
        }
        return filled
    }
}

/// A clock on which a millisecond passes with each look, and every sleep ends at once. Thus all limits of time are reached.
final class HastyClock: LeaseClock {
    private let moment = Mutex(StandingClock.moment)

    func now() -> BootInstant {
        moment.withLock { moment in
            moment = moment + .milliseconds(1)
            return moment
        }
    }

    func sleep(until deadline: BootInstant) async throws {
        try Task.checkCancellation()
        moment.withLock { $0 = max($0, deadline) }
    }
}

/// Runs tasks on the thread that calls `run`, and on no other: the same input always takes the same course.
final class InlineExecutor: TaskExecutor {
    private let jobs = Mutex<[UnownedJob]>([])

    private final class Box<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
    }

    /// Runs `body`, and everything that it starts.
    /// - Returns: nil if `body` waits for something that does not happen.
    func run<Answer: Sendable>(_ body: @escaping @Sendable () async -> Answer) -> Answer? {
        let box = Box<Answer>()
        Task(executorPreference: self) {
            let answer = await body()
            box.value.withLock { $0 = answer }
        }
        while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { job.runSynchronously(on: asUnownedTaskExecutor()) }
        return box.value.withLock { $0 }
    }
}

/// Everything that a command does with an election, on answers that are played to it: whatever they are, it ends, what it shows can be shown, and no lease is
/// counted for longer than it was asked for.
func play(_ kind: UInt8, of name: String, _ coordinator: any Coordinator, ttl: Duration, _ clock: HastyClock, _ executor: InlineExecutor) {
    let ended = executor.run {
        switch kind {
        case UInt8(ascii: "c"): checkShown(await coordinator.clusterStatus())
        case UInt8(ascii: "d"): await playSteppingDown(name, coordinator, clock)
        case UInt8(ascii: "l"):
            await attempt { checkShown(try await coordinator.lister?.list() ?? [], at: clock.now()) }
        case UInt8(ascii: "s"): await attempt { checkShown([try await coordinator.read(name)], at: clock.now()) }
        default: await playTerm(name, coordinator, ttl, clock)
        }
        return true
    }
    if ended == nil { fail("waits forever", of: String(UnicodeScalar(kind))) }
}

private func playTerm(_ name: String, _ coordinator: any Coordinator, _ ttl: Duration, _ clock: HastyClock) async {
    var request = AcquireRequest(name: name, identity: "us", ttl: ttl, wantsLivenessLock: true)
    for round in 0..<4 {
        await attempt {
            switch try await coordinator.acquire(request) {
            case .granted(let grant, _):
                check(grant, clock)
                request.continuing = try await playHolding(coordinator, grant, clock, releases: round > 0)
            case .refused(let state):
                checkShown([state], at: clock.now())
                try await coordinator.waitForTurn(request, behind: state, until: clock.now() + .milliseconds(200))
            }
        }
    }
    _ = await coordinator.leaveQueue(request)
}

/// - Returns: the grant, if it was not released.
private func playHolding(_ coordinator: any Coordinator, _ first: Grant, _ clock: HastyClock, releases: Bool) async throws -> Grant? {
    var grant = first
    for _ in 0..<2 {
        switch try await coordinator.renew(grant) {
        case .renewed(let renewed):
            check(renewed, clock)
            if renewed.token != first.token || renewed.termID != first.termID { fail("a renewal changes the term", of: "\(renewed)") }
            grant = renewed
        case .lost(let state):
            checkShown([state], at: clock.now())
            return nil
        }
    }
    guard releases else { return grant }
    if case .notHeld(let state) = try await coordinator.release(grant) { checkShown([state], at: clock.now()) }
    return nil
}

private func check(_ grant: Grant, _ clock: HastyClock) {
    let now = clock.now()
    if grant.deadline > now + grant.ttl { fail("a lease is counted from after its request", of: "\(grant)") }
    checkShown(grant, at: now)
}

private func playSteppingDown(_ name: String, _ coordinator: any Coordinator, _ clock: HastyClock) async {
    for byForce in [false, true] {
        await attempt {
            let seen = try await coordinator.read(name)
            checkShown([seen], at: clock.now())
            if case .changed(let state) = try await coordinator.askToStepDown(seen, by: "us", byForce: byForce) {
                checkShown([state], at: clock.now())
            }
        }
    }
}

/// Carries `body` out, whose failure can be shown.
private func attempt(_ body: () async throws -> Void) async {
    do { try await body() } catch {
        let text = "\(error) \((error as? CoordinationError)?.hint ?? "")"
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            fail("writes to the terminal", of: text)
        }
    }
}
