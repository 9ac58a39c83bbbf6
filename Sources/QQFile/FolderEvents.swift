import CKernel
import Glibc
import QQCore
import Synchronization

/// What inotify(7) tells of a folder, handed to whoever watches the election that a file belongs to: one descriptor and one thread, however many
/// elections are watched.
final class FolderEvents: Sendable {
    /// What the thread needs; it may outlive `FolderEvents` by the moment that it takes to notice.
    private final class Listeners: Sendable {
        let inotify: Descriptor
        let bells = Mutex<[UInt64: (names: Set<String>?, bell: Bell)]>([:])

        init(_ inotify: Descriptor) { self.inotify = inotify }

        /// Rings for those who watch one of `names`; nil, on either side: for all.
        func ring(_ names: Set<String>?) {
            let bells = bells.withLock { bells in
                bells.values.filter { listener in
                    guard let names, let wanted = listener.names else { return true }
                    return !names.isDisjoint(with: wanted)
                }.map(\.bell)
            }
            for bell in bells { bell.ring() }
        }
    }

    private let listeners: Listeners
    private let thread: BlockingThread
    private let next = Mutex<UInt64>(0)

    /// - Throws: `SystemCallError` where the folder cannot be watched.
    init(_ path: String) throws(SystemCallError) {
        let number = try SystemCallError.check("inotify_init1", inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)))
        let inotify = Descriptor(number)
        let events = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
        _ = try SystemCallError.check("inotify_add_watch", inotify_add_watch(number, path, UInt32(events)))
        let listeners = Listeners(inotify)
        self.listeners = listeners
        thread = try BlockingThread { wait in
            while qq_readable_wait(wait, inotify.number, -1) == 0 { listeners.ring(Self.take(inotify)) }
        }
    }

    deinit { thread.cancel() }

    /// - Parameter names: the elections that matter; nil: everything.
    /// - Returns: what to hand to `forget`.
    func listen(to names: Set<String>?, _ bell: Bell) -> UInt64 {
        let id = next.withLock { next in
            next += 1
            return next
        }
        listeners.bells.withLock { $0[id] = (names, bell) }
        return id
    }

    func forget(_ id: UInt64) { listeners.bells.withLock { $0[id] = nil } }

    /// The elections that what has happened is about; nil where that may be any.
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
        // The kernel tells of a holder's end a moment before it lets its lock go.
        if lockWasClosed { usleep(1000) }
        return isAboutAll ? nil : names
    }
}
