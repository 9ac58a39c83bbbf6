import QQCore
import QQLoop
import Synchronization

/// The credential of an exec plugin, kept until it expires or the server refuses it.
///
/// One run of the program at a time serves all requests that wait for it, each until its own deadline. A credential that is about to expire is replaced while
/// it is still in use, so that renewals of a lease do not wait.
final class PluginCredentials: Sendable {
    typealias Outcome = Result<Credential, CoordinationError>

    /// Runs the program. Blocks.
    typealias Run = @Sendable (PluginRun) throws(PluginFault) -> ExecCredential

    private struct State {
        var credential: Credential?
        /// When the credential ends, and from when on a new one is got while it is in use; nil for never.
        var expiresAt: BootInstant?
        var replaceAt: BootInstant?
        var run: PluginRun?
        var waiters: [UInt64: AsyncStream<Outcome>.Continuation] = [:]
        var lastWaiter: UInt64 = 0
        /// When the program was last run because the server had refused its credential.
        var refusedAt: BootInstant?
        var isClosed = false

        func current(at now: BootInstant) -> Credential? { expiresAt.map { $0 > now } ?? true ? credential : nil }
    }

    /// A credential that lives for longer than twice this is replaced this long before it ends.
    static let replacesBefore: Duration = .seconds(60)
    /// The pause after a failed replacement, and between runs that the server's refusals cause.
    static let pause: Duration = .seconds(10)

    private let plugin: ExecPlugin
    private let surroundings: ClientSurroundings
    private let clock: any LeaseClock
    private let wallClock: @Sendable () -> WallTime
    private let run: Run
    private let state = Mutex(State())

    init(
        _ plugin: ExecPlugin, _ surroundings: ClientSurroundings, clock: any LeaseClock,
        wallClock: @escaping @Sendable () -> WallTime = { WallTime.now() },
        run: @escaping Run = { run throws(PluginFault) in try run.credential() }
    ) {
        self.plugin = plugin
        self.surroundings = surroundings
        self.clock = clock
        self.wallClock = wallClock
        self.run = run
    }

    /// Begins the first run, so that the first request waits less.
    func start() {
        let begins = state.withLock { state in state.credential == nil ? begin(&state) : nil }
        carryOut(begins)
    }

    /// The credential. If there has not been one yet, this waits as long as the program may run, whatever the deadline: without a credential there is nothing
    /// that a late request could lose.
    ///
    /// - Parameter deadline: the deadline of the request, which is postponed by the wait for the first credential.
    func current(until deadline: inout BootInstant) async throws(CoordinationError) -> Credential {
        let now = clock.now()
        let (known, begins, waiting) = state.withLock { state -> (Credential?, PluginRun?, Waiting?) in
            if let credential = state.current(at: now) {
                let isDue = state.replaceAt.map { $0 <= now } ?? false
                return (credential, isDue ? begin(&state) : nil, nil)
            }
            let isFirst = state.credential == nil
            let begins = begin(&state)
            return (nil, begins, wait(&state, until: isFirst ? .distantFuture : deadline))
        }
        carryOut(begins)
        if let known { return known }
        let outcome = await outcome(waiting)
        if waiting?.deadline == .distantFuture { deadline = deadline + clock.now().duration(since: now) }
        switch outcome {
        case .success(let credential)?: return credential
        case .failure(let error)?: throw error
        case nil:
            throw CoordinationError(
                .unavailable, "cannot get a credential", because: "the exec plugin \(plugin.name) has not answered yet", at: plugin.origin)
        }
    }

    /// Another credential than the one that the server has refused: of a run since then, or of a new one.
    /// - Returns: nil if there is none until `deadline`.
    func next(after refused: Credential, until deadline: BootInstant) async -> Credential? {
        let now = clock.now()
        let (known, begins, waiting) = state.withLock { state -> (Credential?, PluginRun?, Waiting?) in
            if let credential = state.current(at: now), credential != refused { return (credential, nil, nil) }
            if state.run == nil {
                // A server that refuses every credential must not keep the program running.
                if let last = state.refusedAt, now < last + Self.pause { return (nil, nil, nil) }
                state.refusedAt = now
            }
            let begins = begin(&state)
            return (nil, begins, wait(&state, until: deadline))
        }
        carryOut(begins)
        if let known { return known }
        guard case .success(let credential)? = await outcome(waiting), credential != refused else { return nil }
        return credential
    }

    /// Ends a run that is under way, and starts no more.
    func close() {
        let run = state.withLock { state in
            state.isClosed = true
            return state.run
        }
        run?.end()
    }

    // MARK: Waiting

    private struct Waiting {
        var id: UInt64
        var outcomes: AsyncStream<Outcome>
        var deadline: BootInstant
    }

    private func wait(_ state: inout State, until deadline: BootInstant) -> Waiting {
        let (outcomes, post) = AsyncStream.makeStream(of: Outcome.self)
        state.lastWaiter += 1
        if state.run == nil { post.finish() } else { state.waiters[state.lastWaiter] = post }
        return Waiting(id: state.lastWaiter, outcomes: outcomes, deadline: deadline)
    }

    /// The outcome of the run; nil if the deadline or a cancellation comes first.
    private func outcome(_ waiting: Waiting?) async -> Outcome? {
        guard let waiting else { return nil }
        defer { state.withLock { $0.waiters[waiting.id] = nil } }
        return await withTaskGroup(of: Outcome?.self) { group in
            group.addTask {
                for await outcome in waiting.outcomes { return outcome }
                return nil
            }
            group.addTask {
                try? await self.clock.sleep(until: waiting.deadline)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    // MARK: Running

    /// Notes that a run begins, unless one is under way.
    /// - Returns: the run to carry out, without the lock.
    private func begin(_ state: inout State) -> PluginRun? {
        guard state.run == nil, !state.isClosed else { return nil }
        let run = PluginRun(plugin, surroundings)
        state.run = run
        return run
    }

    private func carryOut(_ run: PluginRun?) {
        guard let run else { return }
        do throws(SystemCallError) {
            try startThread {
                do throws(PluginFault) { self.ended(.success(try self.run(run))) } catch { self.ended(.failure(error)) }
            }
        } catch { ended(.failure(.notStarted(error.description))) }
    }

    private func ended(_ result: Result<ExecCredential, PluginFault>) {
        let (now, wall) = (clock.now(), wallClock())
        let waiters = state.withLock { state in
            state.run = nil
            switch result {
            case .success(let found):
                state.credential = found.credential
                let left = found.expiration.map { max($0 - wall, .zero) }
                state.expiresAt = left.map { now + $0 }
                state.replaceAt = left.flatMap { $0 > Self.replacesBefore * 2 ? now + ($0 - Self.replacesBefore) : nil }
            case .failure: if state.replaceAt != nil { state.replaceAt = now + Self.pause }
            }
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        let outcome: Outcome =
            switch result {
            case .success(let found): .success(found.credential)
            case .failure(let fault): .failure(fault.told(plugin))
            }
        for waiter in waiters {
            waiter.yield(outcome)
            waiter.finish()
        }
    }
}
