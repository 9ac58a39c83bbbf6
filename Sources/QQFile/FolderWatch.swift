import CSystem
import Glibc
import QQCore

/// The elections of a folder as they change: inotify(7) tells of writes and of holders' ends, the clock of leases that run out.
actor FolderWatch {
    private let coordinator: FileCoordinator
    private let names: [String]
    private var last: [String: ElectionState] = [:]
    private var pending: [ElectionState] = []
    private var inotify: Descriptor?
    private var watchedPath = ""

    init(_ coordinator: FileCoordinator, names: [String]) {
        self.coordinator = coordinator
        self.names = names
    }

    /// The next state that differs from the one told before; the present ones first.
    func next() async throws -> ElectionState? {
        var isFirst = inotify == nil
        if isFirst { inotify = try begin() }
        while pending.isEmpty {
            if !isFirst { try await waitForSomething() }
            isFirst = false
            try await look()
        }
        return pending.removeFirst()
    }

    private func begin() throws(CoordinationError) -> Descriptor {
        let folder = coordinator.folder
        // A default folder that nobody has used yet is no error: the nearest folder above it tells when it is made.
        watchedPath = folder.path
        while folder.isDefault, access(watchedPath, F_OK) != 0, let slash = watchedPath.lastIndex(of: "/"), watchedPath != "/" {
            watchedPath = slash == watchedPath.startIndex ? "/" : String(watchedPath[..<slash])
        }
        let number = inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK))
        guard number >= 0 else { throw folder.problem(SystemCallError("inotify_init1"), with: folder.path) }
        let descriptor = Descriptor(number)
        let events = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
        guard inotify_add_watch(number, watchedPath, UInt32(events)) >= 0 else {
            throw folder.problem(SystemCallError("inotify_add_watch"), with: watchedPath)
        }
        return descriptor
    }

    private func look() async throws {
        if watchedPath != coordinator.folder.path { inotify = try begin() }
        for name in names {
            let state = try await coordinator.read(name)
            let isNews = last[name].map { !Self.isSame($0, state) } ?? true
            last[name] = state
            if isNews { pending.append(state) }
        }
    }

    /// Time passing is no change, nor are a renewal and a number of waiters.
    private static func isSame(_ one: ElectionState, _ other: ElectionState) -> Bool {
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
        guard let inotify else { return }
        let now = coordinator.clock.now()
        // The end of a lease makes no event.
        let soonest = last.values.filter { $0.isLed }.compactMap { $0.remaining }.min()
        let deadline = soonest.map { now + $0 + .milliseconds(1) }
        let milliseconds = deadline.map { Int32(clamping: $0.duration(since: now).nanoseconds / 1_000_000 + 1) } ?? -1
        let result = await BlockingThread.run { qq_readable_wait($0, inotify.number, milliseconds) == 0 ? 0 : errno }
        if result == ECANCELED { throw CancellationError() }
        var sawClose = false
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while read(inotify.number, &buffer, buffer.count) > 0 { sawClose = true }
        if sawClose {
            // The kernel tells of a holder's end a moment before it lets its lock go.
            try await coordinator.clock.sleep(for: .milliseconds(1))
        }
    }
}

extension FileCoordinator {
    public func changes(of names: [String]) -> AsyncThrowingStream<ElectionState, any Error> {
        let watch = FolderWatch(self, names: names)
        return AsyncThrowingStream { try await watch.next() }
    }
}
