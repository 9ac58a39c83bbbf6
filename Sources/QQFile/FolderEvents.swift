import CKernel
import Glibc
import QQCore
import Synchronization

/// Distributes the inotify(7) events of a folder to the watchers of the election that a file belongs to, with one descriptor and one thread for any
/// number of elections.
final class FolderEvents: Sendable {
    /// The state of the thread, which can briefly outlive `FolderEvents`.
    final class Listeners: Sendable {
        private struct State {
            var last: UInt64 = 0
            var bells: [UInt64: (names: Set<String>?, bell: Bell)] = [:]
            /// The listeners to some elections, by election. There can be thousands, and each event is about few of them.
            var ofName: [String: Set<UInt64>] = [:]
            var ofAll: Set<UInt64> = []
        }

        private let state = Mutex(State())

        /// Rings for the watchers of one of `names`, in the order in which they came; nil, on either side, means all.
        func ring(_ names: Set<String>?) {
            let bells = state.withLock { state in
                let ids = names.map { names in names.reduce(into: state.ofAll) { $0.formUnion(state.ofName[$1, default: []]) } }
                return (ids ?? Set(state.bells.keys)).sorted().compactMap { state.bells[$0]?.bell }
            }
            for bell in bells { bell.ring() }
        }

        fileprivate func add(_ names: Set<String>?, _ bell: Bell) -> UInt64 {
            state.withLock { state in
                state.last += 1
                state.bells[state.last] = (names, bell)
                if names == nil { state.ofAll.insert(state.last) }
                for name in names ?? [] { state.ofName[name, default: []].insert(state.last) }
                return state.last
            }
        }

        fileprivate func remove(_ id: UInt64) {
            state.withLock { state in
                guard let (names, _) = state.bells.removeValue(forKey: id) else { return }
                state.ofAll.remove(id)
                for name in names ?? [] {
                    state.ofName[name]?.remove(id)
                    if state.ofName[name]?.isEmpty == true { state.ofName[name] = nil }
                }
            }
        }
    }

    private let listeners: Listeners
    private let source: any KernelWait

    /// - Parameter source: what rings for the listeners until it is cancelled.
    init(_ listeners: Listeners, source: any KernelWait) {
        self.listeners = listeners
        self.source = source
    }

    /// - Throws: `SystemCallError` if the folder cannot be watched.
    convenience init(_ path: String) throws(SystemCallError) {
        let number = try SystemCallError.check("inotify_init1", inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)))
        let inotify = Descriptor(number)
        let events = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
        _ = try SystemCallError.check("inotify_add_watch", inotify_add_watch(number, path, UInt32(events)))
        let listeners = Listeners()
        let thread = try BlockingThread { wait in
            while qq_readable_wait(wait, inotify.number, -1) == 0 { listeners.ring(Self.take(inotify)) }
        }
        self.init(listeners, source: thread)
    }

    deinit { source.cancel() }

    /// Why the machine has no inotify left for this user, with the setting that limits it (inotify(7)); nil for any other failure.
    static func shortage(_ error: SystemCallError) -> String? {
        switch (error.call, error.code) {
        case ("inotify_init1", EMFILE): "this user's inotify instances are used up (sysctl fs.inotify.max_user_instances)"
        case ("inotify_add_watch", ENOSPC): "this user's inotify watches are used up (sysctl fs.inotify.max_user_watches)"
        case ("inotify_init1", ENFILE), ("inotify_init1", ENOMEM), ("inotify_add_watch", ENOMEM): "inotify cannot be used (\(error.reason))"
        default: nil
        }
    }

    /// - Parameter names: the elections to watch; nil for all.
    /// - Returns: the id for `forget`.
    func listen(to names: Set<String>?, _ bell: Bell) -> UInt64 { listeners.add(names, bell) }

    func forget(_ id: UInt64) { listeners.remove(id) }

    /// The elections that the events are about; nil if they can be about any.
    private static func take(_ inotify: Descriptor) -> Set<String>? {
        var names: Set<String> = []
        var isAboutAll = false
        var lockWasClosed = false
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = read(inotify.number, &buffer, buffer.count)
            if count <= 0 { break }
            var at = 0
            let header = MemoryLayout<inotify_event>.size
            while at + header <= count {
                let event = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: inotify_event.self) }
                let end = min(at + header + Int(event.len), count)
                let file = String(decoding: buffer[(at + header)..<end].prefix { $0 != 0 }, as: UTF8.self)
                at = end
                if event.mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_Q_OVERFLOW | IN_IGNORED) != 0 { isAboutAll = true }
                if file.hasSuffix(LeaseFolder.suffix) { names.insert(String(file.dropLast(LeaseFolder.suffix.count))) }
                if let name = LeaseFolder.name(ofSideFile: file) {
                    names.insert(name)
                    if event.mask & UInt32(IN_CLOSE_WRITE) != 0 { lockWasClosed = true }
                }
            }
        }
        // The kernel reports a holder's end a moment before it releases its lock.
        if lockWasClosed { usleep(1000) }
        return isAboutAll ? nil : names
    }
}
