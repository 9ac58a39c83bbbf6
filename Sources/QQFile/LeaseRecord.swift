import QQCore

/// The content of a lease file: `holder` and `renewTime` as the Go package writes them, and fields of `qq`, which Go readers ignore.
struct LeaseRecord: Sendable, Hashable {
    /// The holder's identity; empty if the lease is free.
    var holder: String
    var renewTime: WallTime
    /// The start of the term.
    var acquireTime: WallTime?
    /// The length of the lease, as the present generation of the Go package writes it; the older one does not write it. More than a day, or a value that is not
    /// a whole number of nanoseconds, is ignored. A node of the present generation takes a lease without a length for expired.
    var leaseDuration: Duration?
    /// The same in seconds, for versions of `qq` that do not know `leaseDuration`.
    var ttl: Duration?
    var token: UInt64?
    /// The machine of the holder, to be shown.
    var host: String?
    /// The holder's note, to be shown (`Note`).
    var note: String?
    /// The kernel that the lock belongs to, and its clock that `bootDeadline` is on: a `BootIdentity`.
    var bootID: String?
    /// The end of the lease on that CLOCK_BOOTTIME.
    var bootDeadline: BootInstant?
    /// Whether the holder has a liveness lock (see `TermLivenessLock`).
    var isLocked = false
    /// The inode of the lock's file: a file that was deleted and recreated shows nothing about the holder.
    var lockFile: UInt64?
    /// Whether an effect of the lease outlives its holder: an address that the kernel carries until the lease ends. A released lock then proves nothing.
    var endsByTimeAlone = false
    /// The identity that asks the holder to step down.
    var stepDown: String?
    /// The view in which the previous term has ended together with all processes that worked under it (`FileCoordinator.viewpoint`).
    var cleanFor: String?

    /// The largest token. Tokens are offsets of locked bytes, far behind the journal, and the kernel has no larger ones.
    static let largestToken: UInt64 = 1 << 60

    /// The longest lease that is accepted from another program.
    static let longestLease: Duration = .seconds(24 * 3600)

    static let nobody = LeaseRecord(holder: "", renewTime: .goZero)

    struct Broken: Error, Hashable {
        var reason: String
        /// Whether it is another program's data rather than a damaged lease.
        var isForeign = false
    }

    /// The length of the lease; nil if the file has none. Programs that rewrite the file drop `ttlSeconds` or keep that of an earlier holder. Therefore
    /// `leaseDuration` counts if both exist.
    var lasts: Duration? { leaseDuration ?? ttl }

    /// Parses a file. An empty file means a free lease. Unknown fields are ignored; without a `holder` it is not a lease file.
    init(parsing bytes: [UInt8]) throws(Broken) {
        if bytes.isEmpty {
            self = .nobody
            return
        }
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(bytes) } catch { throw Broken(reason: error.description) }
        guard let object = value.objectValue else { throw Broken(reason: "not a JSON object", isForeign: true) }
        guard object["holder"] != nil else { throw Broken(reason: "it has no \"holder\", so it is no lease", isForeign: true) }
        holder = try Self.text("holder", in: object) ?? ""
        renewTime = try Self.time("renewTime", in: object) ?? .goZero
        leaseDuration = Self.leaseDuration(in: object)
        acquireTime = try Self.time("acquireTime", in: object)
        if let seconds = object["ttlSeconds"], !seconds.isNull {
            if let number = seconds.doubleValue, number >= 1e-9, number <= DurationText.maximum.seconds {
                ttl = .nanoseconds(Int64((number * 1e9).rounded()))
            } else if leaseDuration == nil {
                throw Broken(reason: "\"ttlSeconds\" is not a number of seconds")
            }
        }
        token = try Self.number("token", in: object)
        if let token, token > Self.largestToken { throw Broken(reason: "\"token\" is larger than \(Self.largestToken)") }
        host = try Self.text("host", in: object)
        // A note of another kind never makes a lease unreadable.
        note = Note.read(object["note"]?.stringValue)
        bootID = try Self.text("bootId", in: object)
        bootDeadline = try Self.number("bootDeadline", in: object).map { BootInstant(nanoseconds: $0) }
        isLocked = try Self.truth("locked", in: object) ?? false
        lockFile = try Self.number("lockFile", in: object)
        endsByTimeAlone = try Self.truth("endsByTimeAlone", in: object) ?? false
        stepDown = try Self.text("stepDown", in: object)
        cleanFor = try Self.text("cleanFor", in: object)
    }

    init(holder: String, renewTime: WallTime) {
        self.holder = holder
        self.renewTime = renewTime
    }

    /// Programs that write another holder might keep fields that they do not know. These count only for the holder that `qq` wrote them for: the lock of an
    /// earlier holder shows nothing about the present one.
    /// - Parameter last: the record that `qq` wrote last; nil if it cannot be read.
    mutating func believe(after last: LeaseRecord?) {
        guard holder != last?.holder else { return }
        if leaseDuration != nil { ttl = nil }
        // The journal knows the largest token.
        if token == last?.token { token = nil }
        if acquireTime == last?.acquireTime { acquireTime = nil }
        host = nil
        note = nil
        bootID = nil
        bootDeadline = nil
        isLocked = false
        lockFile = nil
        endsByTimeAlone = false
        stepDown = nil
        cleanFor = nil
    }

    /// As Go's decoder: only a number without point and exponent is an integer.
    private static func leaseDuration(in object: JSONObject) -> Duration? {
        guard case .integer(let nanoseconds)? = object["leaseDuration"], nanoseconds > 0, nanoseconds <= longestLease.nanoseconds else {
            return nil
        }
        return .nanoseconds(nanoseconds)
    }

    private static func text(_ key: String, in object: JSONObject) throws(Broken) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue else { throw Broken(reason: "\"\(key)\" is not a string") }
        return text
    }

    private static func truth(_ key: String, in object: JSONObject) throws(Broken) -> Bool? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let truth = value.boolValue else { throw Broken(reason: "\"\(key)\" is not true or false") }
        return truth
    }

    private static func number(_ key: String, in object: JSONObject) throws(Broken) -> UInt64? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let number = value.uint64Value else { throw Broken(reason: "\"\(key)\" is not a whole number") }
        return number
    }

    private static func time(_ key: String, in object: JSONObject) throws(Broken) -> WallTime? {
        guard let text = try text(key, in: object) else { return nil }
        do throws(WallTime.Invalid) { return try WallTime.parse(rfc3339: text) } catch {
            throw Broken(reason: "\"\(key)\" is not an RFC 3339 time: \(error.reason)")
        }
    }

    /// The bytes to write: Go's fields first and as Go writes them (two-space indent, a newline at the end).
    var encoded: [UInt8] {
        var members: [JSONObject.Member] = [
            .init(name: "holder", value: .string(holder)), .init(name: "renewTime", value: .string(renewTime.rfc3339Nano)),
        ]
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append(.init(name: key, value: value)) }
        }
        add("leaseDuration", leaseDuration.map { .integer($0.nanoseconds) })
        add("acquireTime", acquireTime.map { .string($0.rfc3339Nano) })
        add("ttlSeconds", ttl.map { .double($0.seconds) })
        add("token", token.map { .number($0) })
        add("host", host.map { .string($0) })
        add("note", note.map { .string($0) })
        add("bootId", bootID.map { .string($0) })
        add("bootDeadline", bootDeadline.map { .number($0.nanoseconds) })
        add("locked", isLocked ? true : nil)
        add("lockFile", lockFile.map { .number($0) })
        add("endsByTimeAlone", endsByTimeAlone ? true : nil)
        add("stepDown", stepDown.map { .string($0) })
        add("cleanFor", cleanFor.map { .string($0) })
        return JSONWriter.bytes(.object(JSONObject(members)), style: .goIndented) + [UInt8(ascii: "\n")]
    }
}
