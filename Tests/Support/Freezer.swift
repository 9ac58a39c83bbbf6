import Glibc

/// A cgroup whose processes can be made to stand still, as `docker pause` does it: nothing in them runs, not even the handling of SIGKILL on version 1.
public struct Freezer: Sendable {
    private let folder: String
    private let isVersion1: Bool

    /// - Returns: nil where this process may not make one.
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

    /// Moves a process there.
    public func add(_ pid: pid_t) -> Bool { write("\(pid)", to: "cgroup.procs") }

    public func freeze() -> Bool { write(isVersion1 ? "FROZEN" : "1", to: isVersion1 ? "freezer.state" : "cgroup.freeze") }

    public func thaw() { _ = write(isVersion1 ? "THAWED" : "0", to: isVersion1 ? "freezer.state" : "cgroup.freeze") }

    /// Removes it, if nothing lives there.
    /// - Returns: whether it is gone.
    @discardableResult
    public func remove() -> Bool { rmdir(folder) == 0 || errno == ENOENT }

    private func write(_ text: String, to file: String) -> Bool {
        let descriptor = open(folder + "/" + file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
    }
}
