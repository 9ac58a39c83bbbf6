import Glibc
import QQCore

/// The elections of a folder as they change: inotify(7) shows writes and the ends of holders, and the clock shows leases that expire. Where inotify is used
/// up, the files are read again and again.
actor FolderWatch {
    private let coordinator: FileCoordinator
    private let names: [String]
    private let bell = Bell()
    private var changes: ChangeDetector
    private var pending: [ElectionState] = []
    /// When the lease of each election ends that has a leader. The end of a lease causes no event.
    private var ends: [String: BootInstant] = [:]
    /// The rows of renewals that the elections held by this process were in when they were read.
    private var rows: [String: OwnRenewals.Row] = [:]
    private let tellsRenewals: Bool
    private var listening: (events: FolderEvents, id: UInt64)?
    /// The pause between reads without inotify.
    static let pollPace: Duration = .seconds(1)

    private var isPolling = false
    /// Whether the folder does not exist, so that the one above it is watched.
    private var isProvisional = false

    init(_ coordinator: FileCoordinator, names: [String], tellsRenewals: Bool) {
        self.coordinator = coordinator
        self.names = names
        self.tellsRenewals = tellsRenewals
        changes = ChangeDetector(withRenewals: tellsRenewals, isSame: Self.isSame)
    }

    deinit { if let listening { listening.events.forget(listening.id) } }

    /// The next state that differs from the previous one; the present ones first.
    func next() async throws -> ElectionState? {
        while pending.isEmpty {
            if listening != nil || isPolling { try await waitForSomething() }
            if listening == nil || isProvisional { try listen() }
            try await readAll()
        }
        return pending.removeFirst()
    }

    private func listen() throws(CoordinationError) {
        let folder = coordinator.folder
        if let listening { listening.events.forget(listening.id) }
        listening = nil
        isProvisional = folder.isDefault && folder.isMissing
        let events = try isProvisional ? eventsAbove(folder) : coordinator.events()
        isPolling = events == nil
        listening = events.map { (events: $0, id: $0.listen(to: isProvisional ? nil : Set(names), bell)) }
    }

    /// A default folder that does not exist yet is not an error: the nearest folder above it shows when it is created.
    private func eventsAbove(_ folder: LeaseFolder) throws(CoordinationError) -> FolderEvents? {
        var path = folder.path
        while access(path, F_OK) != 0, let slash = path.lastIndex(of: "/"), path != "/" {
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        return try coordinator.newEvents(path)
    }

    private func readAll() async throws {
        for name in names {
            if !tellsRenewals, let row = rows[name], let end = coordinator.deadline(name, in: row) {
                ends[name] = end
                continue
            }
            let (state, row) = try await coordinator.readWatched(name)
            let now = coordinator.clock.now()
            rows[name] = row
            ends[name] = state.isLed ? state.remaining.map { now + $0 } : nil
            if changes.isChange(state, at: now) { pending.append(state) }
        }
    }

    /// The passing of time, a renewal and the number of waiters alone do not count as a change.
    @Sendable private static func isSame(_ one: ElectionState, _ other: ElectionState) -> Bool {
        var left = one
        var right = other
        left.remaining = nil
        right.remaining = nil
        left.renewedAt = nil
        right.renewedAt = nil
        left.waiters = nil
        right.waiters = nil
        return left == right
    }

    private func waitForSomething() async throws {
        let end = ends.values.min().map { $0 + .milliseconds(1) } ?? .distantFuture
        await bell.wait(until: isPolling ? min(end, coordinator.clock.now() + Self.pollPace) : end, coordinator.clock)
        try Task.checkCancellation()
    }
}

extension FileCoordinator {
    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        let watch = FolderWatch(self, names: names, tellsRenewals: withRenewals)
        return AsyncThrowingStream { try await watch.next() }
    }
}
