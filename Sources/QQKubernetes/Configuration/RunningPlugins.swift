import Glibc
import QQCore
import Synchronization

/// The process groups of the exec plugins that run. They end with this process: a command that has waited long enough for its credential does not wait
/// for the program as well.
enum RunningPlugins {
    private static let groups = Mutex<Set<pid_t>>([])
    private static let atExit: Void = {
        atexit { for group in RunningPlugins.groups.withLock({ $0 }) { ChildProcesses.killGroup(of: group) } }
    }()

    /// - Parameter group: the pid of an awaited child that leads a group of its own.
    static func add(_ group: pid_t) {
        _ = atExit
        groups.withLock { _ = $0.insert(group) }
    }

    static func remove(_ group: pid_t) { groups.withLock { _ = $0.remove(group) } }
}
