/// A read of keys (KV/Range).
public struct EtcdRange: Sendable, Hashable {
    public enum Order: Sendable, Hashable {
        /// By key, the first one first.
        case key
        /// By create revision, the lowest first.
        case oldestFirst
        /// By create revision, the highest first.
        case newestFirst
    }

    public var keys: EtcdKeys
    public var order = Order.key
    /// Number of keys to return at most; 0 for all.
    public var limit: Int64 = 0
    /// The revision to read at; 0 for the present one. Use the revision of the first page for those that follow.
    public var revision: Int64 = 0
    /// The highest create revision of interest; 0 for any.
    public var maximumCreateRevision: Int64 = 0
    /// Whether values are left out.
    public var isKeysOnly = false
    /// Whether any member may answer from the state that it has. Never decide on that state: it can be old.
    public var isSerializable = false

    public init(_ keys: EtcdKeys) { self.keys = keys }

    /// One key without its value, which something else can have made as large as it likes.
    package static func state(of key: [UInt8]) -> EtcdRange {
        var range = EtcdRange(.one(key))
        range.isKeysOnly = true
        return range
    }
}

/// The answer to a read.
public struct EtcdRangeAnswer: Sendable, Hashable {
    /// The cluster's revision when it was read.
    public var revision: Int64
    /// The Raft term of the member that answers.
    public var term: UInt64
    public var found: [EtcdKeyValue]
    /// Whether there are more keys than `limit`.
    public var hasMore: Bool
    /// The number of keys in the range, regardless of the limit.
    public var count: Int64

    public init(revision: Int64, term: UInt64 = 0, found: [EtcdKeyValue], hasMore: Bool = false, count: Int64? = nil) {
        self.revision = revision
        self.term = term
        self.found = found
        self.hasMore = hasMore
        self.count = count ?? Int64(found.count)
    }
}
