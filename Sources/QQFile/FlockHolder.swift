import Glibc

/// A process that holds a flock(2) on an open file, for an error that names it: `process 12 (vim) of user alice`, and its number.
/// - Returns: nil if none can be found, as in another pid namespace or on another machine.
public func flockHolder(of descriptor: CInt) -> (description: String, pid: pid_t)? {
    var file = stat()
    guard fstat(descriptor, &file) == 0, let holder = LockHolder.find(.whole, on: file) else { return nil }
    return (holder.description, holder.pid)
}
