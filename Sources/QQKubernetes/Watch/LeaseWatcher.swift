import QQCore
import Synchronization

/// The watches of this process: one for one lease, and one for all of the namespace as soon as there are more.
///
/// A watch only tells sooner what a read tells as well. It is never proof: it can be silent while everything changes. Every watch begins with the present state.
final class LeaseWatcher: Sendable {
    enum Target: Hashable, Sendable {
        case one(String)
        case all
    }

    enum Status: Sendable, Hashable {
        /// The lease is watched. The number is another one whenever a watch has begun: changes before that are not told.
        case open(Int)
        /// No watch tells of the lease now.
        case closed
    }

    private struct Stream {
        var number: Int
        var task: Task<Void, Never>?
        /// The number of the opening; nil while the watch is not open.
        var opening: Int?
        /// The newest version that the watch has reached.
        var newest: UInt64 = 0
        /// A version that it has to reach, because a lease that it watches has it.
        var expected: (version: UInt64, since: BootInstant)?
    }

    private struct State {
        var interests: [String: Int] = [:]
        var streams: [Target: Stream] = [:]
        var forbidden: Set<Target> = []
        var lastNumber = 0
        var isStopped = false
        var hasReportedPolling = false
        var deliver: @Sendable (WatchEvent) -> Void = { _ in }
        var changed: @Sendable (String?) -> Void = { _ in }
        var notice: @Sendable (String) -> Void = { _ in }
    }

    private let api: any APICalling
    private let calls: LeaseCalls
    private let clock: any LeaseClock
    private let executor: any TaskExecutor
    private let timeout: Duration
    private let random: @Sendable () -> UInt64
    private let state = Mutex(State())

    /// How long a watch can lag behind a version that was read or written.
    static let mayLag: Duration = .seconds(2)
    /// The most watches of single leases, if the whole namespace must not be watched.
    private static let mostSingle = 8
    private static let mostForbidden = 4

    init(
        api: any APICalling, calls: LeaseCalls, clock: any LeaseClock, executor: any TaskExecutor, timeout: Duration,
        random: @escaping @Sendable () -> UInt64
    ) {
        self.api = api
        self.calls = calls
        self.clock = clock
        self.executor = executor
        self.timeout = timeout
        self.random = random
    }

    /// - Parameters:
    ///   - deliver: called with each event, in order.
    ///   - changed: called when leases begin or cease to be watched: that lease, or all for nil.
    ///   - notice: called with what an operator should know.
    func start(
        deliver: @escaping @Sendable (WatchEvent) -> Void, changed: @escaping @Sendable (String?) -> Void,
        notice: @escaping @Sendable (String) -> Void
    ) {
        state.withLock { ($0.deliver, $0.changed, $0.notice) = (deliver, changed, notice) }
    }

    func stop() {
        let tasks = state.withLock { state in
            state.isStopped = true
            defer { state.streams = [:] }
            return state.streams.values.map(\.task)
        }
        for task in tasks { task?.cancel() }
    }

    // MARK: Interests

    func add(_ name: String) {
        state.withLock { $0.interests[name, default: 0] += 1 }
        plan()
    }

    func remove(_ name: String) {
        state.withLock { state in
            guard let count = state.interests[name] else { return }
            state.interests[name] = count > 1 ? count - 1 : nil
        }
        plan()
    }

    func status(of name: String) -> Status {
        state.withLock { state in
            for target in [Target.one(name), .all] {
                if let opening = state.streams[target]?.opening { return .open(opening) }
            }
            return .closed
        }
    }

    /// Starts the watches that are missing, and ends those that are not needed.
    private func plan() {
        let (ended, isPolling) = state.withLock { state -> ([Task<Void, Never>?], Bool) in
            guard !state.isStopped else { return ([], false) }
            let wanted = Self.targets(Set(state.interests.keys), forbidden: state.forbidden, present: Set(state.streams.keys))
            var ended: [Task<Void, Never>?] = []
            for target in state.streams.keys where !wanted.contains(target) {
                // The watch of one lease goes on until that of all of them has begun.
                if case .one(let name) = target, state.interests[name] != nil, wanted.contains(.all), state.streams[.all]?.opening == nil {
                    continue
                }
                ended.append(state.streams.removeValue(forKey: target)?.task)
            }
            for target in wanted where state.streams[target] == nil { open(target, &state) }
            let isPolling = !state.hasReportedPolling && !state.interests.isEmpty && wanted.isEmpty
            if isPolling { state.hasReportedPolling = true }
            return (ended, isPolling)
        }
        for task in ended { task?.cancel() }
        if isPolling {
            let notice = state.withLock { $0.notice }
            notice("this user is not allowed to watch leases: they are read every few seconds instead, as client-go does")
        }
    }

    /// The watches to have. Pure.
    static func targets(_ names: Set<String>, forbidden: Set<Target>, present: Set<Target>) -> Set<Target> {
        // A watch of all of them is kept: names come and go together.
        if names.count > 1 || (names.count == 1 && present.contains(.all)), !forbidden.contains(.all) { return [.all] }
        // A role that forbids several of them is not asked for thousands.
        guard present.contains(where: { $0 != .all }) || forbidden.count(where: { $0 != .all }) < mostForbidden else { return [] }
        let single = names.map { Target.one($0) }.filter { !forbidden.contains($0) }
        let kept = single.filter { present.contains($0) }
        let more = single.filter { !present.contains($0) }.sorted { "\($0)" < "\($1)" }
        return Set((kept + more).prefix(mostSingle))
    }

    private func open(_ target: Target, _ state: inout State) {
        state.lastNumber += 1
        let number = state.lastNumber
        let task = Task(executorPreference: executor) { [weak self] in
            guard let self else { return }
            await run(target, number)
        }
        state.streams[target] = Stream(number: number, task: task)
    }

    // MARK: Lagging watches

    /// Notes that a lease has this version, which its watch has to reach. A watch that does not is begun anew.
    func expect(_ name: String, _ version: UInt64) {
        let now = clock.now()
        let late = state.withLock { state -> Task<Void, Never>? in
            for target in [Target.one(name), .all] {
                guard let stream = state.streams[target], stream.opening != nil else { continue }
                if let expected = stream.expected {
                    guard now > expected.since + Self.mayLag else { return nil }
                    open(target, &state)
                    return stream.task
                }
                if version > stream.newest { state.streams[target]?.expected = (version, now) }
                return nil
            }
            return nil
        }
        guard let late else { return }
        late.cancel()
        ring(nil)
    }

    /// When the watch of a lease has to have reached the version that it is expected to; nil if it has.
    func lateAt(_ name: String) -> BootInstant? {
        state.withLock { state in
            for target in [Target.one(name), .all] {
                if let stream = state.streams[target], stream.opening != nil {
                    return stream.expected.map { $0.since + Self.mayLag + .milliseconds(1) }
                }
            }
            return nil
        }
    }

    // MARK: One watch

    private enum Ending {
        case ended
        case forbidden
    }

    private func run(_ target: Target, _ number: Int) async {
        var pause = Self.shortestPause
        while !Task.isCancelled {
            let beganAt = clock.now()
            switch await follow(target, number) {
            case .forbidden:
                let isOurs = state.withLock { state in
                    guard state.streams[target]?.number == number else { return false }
                    state.streams[target] = nil
                    state.forbidden.insert(target)
                    // The right to watch the namespace would include that to watch one lease of it.
                    return true
                }
                if isOurs {
                    plan()
                    ring(nil)
                }
                return
            case .ended: break
            }
            if clock.now() > beganAt + .seconds(10) { pause = Self.shortestPause }
            let jitter = Duration.seconds(saturating: pause.seconds * (0.8 + 0.4 * RandomNumber.fraction(random())))
            guard (try? await clock.sleep(for: jitter)) != nil else { return }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private static let shortestPause: Duration = .milliseconds(100)
    private static let longestPause: Duration = .seconds(5)

    private func follow(_ target: Target, _ number: Int) async -> Ending {
        let name: String? = if case .one(let name) = target { name } else { nil }
        do {
            let lines = try await api.stream(calls.watch(name), until: clock.now() + timeout)
            guard begins(target, number) else { return .ended }
            defer { ends(target, number) }
            for try await line in lines {
                if Task.isCancelled { return .ended }
                guard let event = WatchEvent(line) else { continue }
                if case .failed = event { return .ended }
                reached(target, number, event)
                let deliver = state.withLock { $0.streams[target]?.number == number ? $0.deliver : nil }
                guard let deliver else { return .ended }
                deliver(event)
            }
        } catch {
            if let failure = error as? APIFailure, failure.status == 403 { return .forbidden }
        }
        return .ended
    }

    private func begins(_ target: Target, _ number: Int) -> Bool {
        let isOurs = state.withLock { state in
            guard state.streams[target]?.number == number else { return false }
            state.lastNumber += 1
            state.streams[target]?.opening = state.lastNumber
            state.streams[target]?.newest = 0
            state.streams[target]?.expected = nil
            return true
        }
        guard isOurs else { return false }
        // The watches of single leases are no longer needed.
        if target == .all { plan() }
        ring(name(of: target))
        return true
    }

    private func ends(_ target: Target, _ number: Int) {
        state.withLock { state in
            guard var stream = state.streams[target], stream.number == number else { return }
            stream.opening = nil
            stream.expected = nil
            state.streams[target] = stream
        }
        ring(name(of: target))
    }

    private func reached(_ target: Target, _ number: Int, _ event: WatchEvent) {
        let version: UInt64? =
            switch event {
            case .changed(let object), .deleted(let object): object.version
            case .bookmark(let version): version
            case .failed: nil
            }
        guard let version else { return }
        state.withLock { state in
            guard var stream = state.streams[target], stream.number == number else { return }
            stream.newest = max(stream.newest, version)
            if let expected = stream.expected, stream.newest >= expected.version { stream.expected = nil }
            state.streams[target] = stream
        }
    }

    private func name(of target: Target) -> String? { if case .one(let name) = target { name } else { nil } }

    private func ring(_ name: String?) {
        let changed = state.withLock { $0.changed }
        changed(name)
    }
}
