import QQCore

/// What a lease file holds: `holder` and `renewTime` as the Go package writes them, and what `qq` adds, which Go readers pass over.
struct LeaseRecord: Sendable, Hashable {
    /// Empty: nobody.
    var holder: String
    var renewTime: WallTime
    /// When the term began.
    var acquireTime: WallTime?
    /// For how long the lease was taken, as the present generation of the Go package writes it; the older one's files do not say. More than a day, and
    /// what is no whole number of nanoseconds, is passed over. A node of the present generation takes a lease for over that does not say.
    var leaseDuration: Duration?
    /// The same in seconds, for versions of `qq` that know nothing of `leaseDuration`.
    var ttl: Duration?
    var token: UInt64?
    /// The machine of the holder, for people.
    var host: String?
    /// The kernel that the lock belongs to, and its clock that `bootDeadline` is on: a `BootIdentity`.
    var bootID: String?
    /// When the lease ends on that CLOCK_BOOTTIME.
    var bootDeadline: BootInstant?
    /// Whether a kernel lock shows that the holder lives (see `TermLivenessLock`).
    var isLocked = false
    /// The file that the lock is on, by inode: one that was deleted and made anew tells nothing of the holder.
    var lockFile: UInt64?
    /// Whether something of the holder's outlives it, an address that the kernel carries until the lease ends: a lock that was let go then says nothing.
    var endsByTimeAlone = false
    /// Who asks the holder to step down.
    var stepDown: String?
    /// Who says that the term before has ended together with all processes that worked under it (`FileCoordinator.viewpoint`).
    var cleanFor: String?

    /// Tokens are bytes that are locked, far behind the journal; the kernel has no more of them.
    static let largestToken: UInt64 = 1 << 60

    /// No lease lasts longer than what is believed of another program's word for it.
    static let longestLease: Duration = .seconds(24 * 3600)

    static let nobody = LeaseRecord(holder: "", renewTime: .goZero)

    struct Broken: Error, Hashable {
        var reason: String
        /// Whether it is some other program's data rather than a lease that was damaged.
        var isForeign = false
    }

    /// How long the lease lasts; nil where the file does not say. Programs that rewrite the file drop `ttlSeconds` or carry along an earlier
    /// holder's: so `leaseDuration` counts where both are there.
    var lasts: Duration? { leaseDuration ?? ttl }

    /// An empty file means nobody. Unknown fields are passed over; without a `holder` it is no lease file.
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

    /// Programs that put in another holder may keep the fields that they do not know. These are believed only for the holder that `qq` wrote them for:
    /// the lock of an earlier one tells nothing of who has the lease now.
    /// - Parameter last: what `qq` wrote last; nil where that cannot be read.
    mutating func believe(after last: LeaseRecord?) {
        guard holder != last?.holder else { return }
        if leaseDuration != nil { ttl = nil }
        // The journal knows the largest token.
        if token == last?.token { token = nil }
        if acquireTime == last?.acquireTime { acquireTime = nil }
        host = nil
        bootID = nil
        bootDeadline = nil
        isLocked = false
        lockFile = nil
        endsByTimeAlone = false
        stepDown = nil
        cleanFor = nil
    }

    /// As Go's decoder has it: only what is written without point and exponent is an integer.
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
