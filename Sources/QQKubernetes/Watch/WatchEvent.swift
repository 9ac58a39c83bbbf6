import QQCore

/// One line of a watch.
enum WatchEvent: Sendable, Hashable {
    /// The object was made or changed, or was there when the watch began.
    case changed(LeaseObject)
    /// The object was deleted; with its last state, and the version of the deletion.
    case deleted(LeaseObject)
    /// Nothing but a version that the watch has reached.
    case bookmark(UInt64?)
    /// The watch is over, as when its server has restarted.
    case failed(String)

    /// Nil for a line that is not understood, which is skipped.
    init?(_ line: JSONValue) {
        guard let object = line["object"] else { return nil }
        switch line["type"]?.stringValue {
        case "ADDED", "MODIFIED":
            guard let lease = LeaseObject(object) else { return nil }
            self = .changed(lease)
        case "DELETED":
            guard let lease = LeaseObject(object) else { return nil }
            self = .deleted(lease)
        case "BOOKMARK": self = .bookmark(object["metadata"]?["resourceVersion"]?.stringValue.flatMap { UInt64($0) })
        case "ERROR": self = .failed(Printable.text(object["message"]?.stringValue ?? "no reason given"))
        default: return nil
        }
    }
}
