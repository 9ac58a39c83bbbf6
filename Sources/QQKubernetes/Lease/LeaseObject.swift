import QQCore

/// A Lease object as the API server sent it. Everything that is not `qq`'s is kept, because a PUT replaces the whole object.
struct LeaseObject: Sendable, Hashable {
    private(set) var json: JSONObject

    /// Nil for anything but an object with a name.
    init?(_ value: JSONValue) {
        guard let object = value.objectValue, object["metadata"]?["name"]?.stringValue != nil else { return nil }
        json = object
    }

    /// An object to create, without a holder. Every contender takes it immediately.
    init(new name: String, namespace: String, wall: WallTime) {
        json = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": ["leaseTransitions": 0],
        ]
        release(wall: wall)
    }

    /// The object as a request's body. Items of a list carry neither kind nor version, and need none. The server keeps `managedFields` itself if they are left
    /// out, and they are half of the object.
    var body: JSONValue {
        var json = json
        var metadata = metadata
        metadata["managedFields"] = nil
        json["metadata"] = .object(metadata)
        return .object(json)
    }

    // MARK: Metadata

    private var metadata: JSONObject { json["metadata"]?.objectValue ?? JSONObject() }

    var name: String { metadata["name"]?.stringValue ?? "" }
    var uid: String? { metadata["uid"]?.stringValue }
    /// Changes with every write; opaque but for `version`.
    var resourceVersion: String? { metadata["resourceVersion"]?.stringValue }

    /// The resource version as a number, which grows with every write (client-go 1.36, `apimachinery/pkg/util/resourceversion`); nil if it is none.
    var version: UInt64? {
        guard let text = resourceVersion, let number = UInt64(text), number > 0, String(number) == text else { return nil }
        return number
    }

    /// Whether the object was deleted, and exists only until its finalizers are removed.
    var isDeleting: Bool { metadata["deletionTimestamp"].map { !$0.isNull } ?? false }

    func annotation(_ key: String) -> String? { metadata["annotations"]?[key]?.stringValue }

    /// - Parameter value: nil removes the annotation.
    mutating func annotate(_ key: String, _ value: String?) {
        var metadata = metadata
        var annotations = metadata["annotations"]?.objectValue ?? JSONObject()
        guard value != nil || annotations[key] != nil else { return }
        annotations[key] = value.map { .string($0) }
        metadata["annotations"] = annotations.isEmpty ? nil : .object(annotations)
        json["metadata"] = .object(metadata)
    }

    /// The server's time of the last write, to the second, if the server keeps it: a manager of fields is noted with every update.
    var writtenAt: WallTime? {
        metadata["managedFields"]?.arrayValue?.compactMap { $0["time"]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) } }.max()
    }

    // MARK: Spec

    private var spec: JSONObject { json["spec"]?.objectValue ?? JSONObject() }

    var record: LeaseRecord { LeaseRecord(spec) }

    /// Writes all fields that `qq` writes, and leaves the others.
    mutating func write(_ record: LeaseRecord) {
        var spec = spec
        spec["holderIdentity"] = .string(record.holder ?? "")
        spec["leaseDurationSeconds"] = record.duration.map { .integer(Int64($0)) }
        spec["acquireTime"] = record.acquireTime.map { .string($0) }
        spec["renewTime"] = record.renewTime.map { .string($0) }
        spec["leaseTransitions"] = .integer(Int64(record.transitions))
        json["spec"] = .object(spec)
    }

    /// Gives the lease up so that every contender takes it immediately: client-go one without a holder, Consensus, which looks at the times alone, one whose
    /// duration has passed since the renewal.
    mutating func release(wall: WallTime) {
        var record = record
        record.holder = nil
        record.duration = 1
        record.renewTime = LeaseRecord.text(wall - .seconds(1))
        record.acquireTime = record.acquireTime ?? record.renewTime
        write(record)
        for key in TermMark.keys { annotate(key, nil) }
    }
}

/// The part of a lease's spec that elections are decided by.
struct LeaseRecord: Sendable, Hashable {
    /// Nil without a holder: absent, null and empty mean the same.
    var holder: String?
    /// In seconds, at least 1; nil if the lease has none.
    var duration: Int32?
    /// As the server sent it, with six fractional digits.
    var acquireTime: String?
    var renewTime: String?
    /// How often the holder changed.
    var transitions: Int32 = 0

    init(_ spec: JSONObject) {
        holder = spec["holderIdentity"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        duration = spec["leaseDurationSeconds"]?.int64Value.flatMap { $0 > 0 ? Int32(clamping: $0) : nil }
        acquireTime = spec["acquireTime"]?.stringValue
        renewTime = spec["renewTime"]?.stringValue
        transitions = Int32(clamping: max(spec["leaseTransitions"]?.int64Value ?? 0, 0))
    }

    var ttl: Duration? { duration.map { .seconds(Int64($0)) } }
    /// Nil if there is none: Go's zero time is read back as null.
    var acquiredAt: WallTime? { Self.time(acquireTime) }
    var renewedAt: WallTime? { Self.time(renewTime) }

    /// A time as the server demands it: six fractional digits, in UTC.
    static func text(_ time: WallTime) -> String { time.rfc3339(fractionDigits: 6) }

    private static func time(_ text: String?) -> WallTime? {
        guard let text, let time = try? WallTime.parse(rfc3339: text), time > .goZero else { return nil }
        return time
    }

    /// Whether a client-go contender sees no difference: it compares times to the second, and counts from the first of two records that it cannot tell apart.
    func looksSame(as other: LeaseRecord) -> Bool {
        holder == other.holder && duration == other.duration && transitions == other.transitions
            && acquiredAt?.seconds == other.acquiredAt?.seconds && renewedAt?.seconds == other.renewedAt?.seconds
    }

    /// How much longer than its TTL a lease lasts for others at most. Fewer renewals than this that contenders have to see fit into one second.
    private static let mostExtraSeconds: Int64 = 8

    /// Renews the record for `seconds` so that it looks different from every earlier record of the term. It is not enough that it differs from the last one: a
    /// contender might have missed that, and would count from when it saw the record before.
    ///
    /// Either the second of the renewal grows, or the duration within the same second. After a wall clock was set back, the second stays, and grows only after
    /// more renewals than fit into one, so that it never runs away from the clock.
    mutating func renew(for seconds: Int32, at wall: WallTime) {
        guard let last = renewedAt, wall.seconds <= last.seconds else {
            (renewTime, duration) = (Self.text(wall), seconds)
            return
        }
        let longer = max(Int64(seconds), Int64(duration ?? 0) + 1)
        if longer <= Int64(seconds) + Self.mostExtraSeconds, let longer = Int32(exactly: longer) {
            duration = longer
            renewUnseen(at: wall)
        } else {
            (renewTime, duration) = (Self.text(WallTime(seconds: last.seconds + 1)), seconds)
        }
    }

    /// Renews the record so that it looks the same to client-go contenders if this is in the second of the last renewal.
    mutating func renewUnseen(at wall: WallTime) {
        // Never earlier than before, because Consensus counts from it.
        renewTime = Self.text(max(renewedAt ?? .goZero, wall))
    }

    /// The record of a new holder.
    func taken(by identity: String, for seconds: Int32, at wall: WallTime) -> LeaseRecord {
        var record = self
        record.holder = identity
        record.duration = seconds
        record.acquireTime = Self.text(wall)
        record.renewTime = record.acquireTime
        record.transitions = transitions == .max ? .max : transitions + 1
        return record
    }
}
