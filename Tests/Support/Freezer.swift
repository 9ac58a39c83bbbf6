import Glibc

/// A cgroup whose processes can be frozen, as `docker pause` does. Frozen processes do not run at all; on version 1 they do not even handle SIGKILL.
public struct Freezer: Sendable {
    private let folder: String
    private let isVersion1: Bool

    /// - Returns: nil if this process is not allowed to create a cgroup.
    public init?(_ name: String) {
        let hierarchies = [("/sys/fs/cgroup/freezer", true), ("/sys/fs/cgroup/unified", false), ("/sys/fs/cgroup", false)]
        for (hierarchy, isVersion1) in hierarchies {
            let folder = hierarchy + "/" + name
            guard access(hierarchy + "/cgroup.procs", W_OK) == 0, mkdir(folder, 0o755) == 0 else { continue }
            if access(folder + (isVersion1 ? "/freezer.state" : "/cgroup.freeze"), W_OK) == 0 {
                self.folder = folder
                self.isVersion1 = isVersion1
                return
            }
            rmdir(folder)
        }
        return nil
    }

    /// Moves a process into the cgroup.
    public func add(_ pid: pid_t) -> Bool { write("\(pid)", to: "cgroup.procs") }

    public func freeze() -> Bool { write(isVersion1 ? "FROZEN" : "1", to: isVersion1 ? "freezer.state" : "cgroup.freeze") }

    public func thaw() { _ = write(isVersion1 ? "THAWED" : "0", to: isVersion1 ? "freezer.state" : "cgroup.freeze") }

    /// Removes the cgroup, if no process is in it.
    /// - Returns: whether the cgroup no longer exists.
    @discardableResult
    public func remove() -> Bool { rmdir(folder) == 0 || errno == ENOENT }

    private func write(_ text: String, to file: String) -> Bool {
        let descriptor = open(folder + "/" + file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
    }
}
