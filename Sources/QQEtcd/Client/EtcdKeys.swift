/// One key, or all keys from one up to another.
public struct EtcdKeys: Sendable, Hashable {
    public var key: [UInt8]
    /// The first key after the range; empty for one key alone; one NUL byte for all keys from `key` on.
    public var end: [UInt8]

    public init(key: [UInt8], end: [UInt8] = []) {
        self.key = key
        self.end = end
    }

    public static func one(_ key: [UInt8]) -> EtcdKeys { EtcdKeys(key: key) }

    /// All keys that begin with `prefix`; all keys if it is empty.
    public static func below(_ prefix: [UInt8]) -> EtcdKeys {
        guard let last = prefix.lastIndex(where: { $0 < 0xff }) else {
            return EtcdKeys(key: prefix.isEmpty ? [0] : prefix, end: [0])
        }
        return EtcdKeys(key: prefix, end: Array(prefix[..<last]) + [prefix[last] + 1])
    }

    /// All keys.
    public static let all = below([])

    /// Whether the key is one of these.
    public func contains(_ other: [UInt8]) -> Bool {
        guard !end.isEmpty else { return other == key }
        return !other.lexicographicallyPrecedes(key) && (end == [0] || other.lexicographicallyPrecedes(end))
    }
}

/// A key and its state (mvccpb.KeyValue).
public struct EtcdKeyValue: Sendable, Hashable {
    public var key: [UInt8]
    /// Empty if only keys were asked for.
    public var value: [UInt8]
    /// The revision of the put that created the key.
    public var createRevision: Int64
    /// The revision of the last put.
    public var modRevision: Int64
    /// The number of puts since the key was created, that one included.
    public var version: Int64
    /// The lease that the key is bound to; 0 for none.
    public var lease: Int64

    public init(key: [UInt8], value: [UInt8] = [], createRevision: Int64, modRevision: Int64, version: Int64 = 1, lease: Int64 = 0) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}
