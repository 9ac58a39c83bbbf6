import QQCore

/// client-go's `LeaderElectionRecord`, a lease's spec as its elector sees it.
struct ElectionRecord: Sendable, Hashable {
    /// Empty for nobody.
    var holder = ""
    /// 0 if the lease has none.
    var durationSeconds: Int64 = 0
    var acquired: WallTime?
    var renewed: WallTime?
    var transitions: Int64 = 0
    var strategy = ""
    var preferredHolder = ""

    init(holder: String, durationSeconds: Int64, at time: WallTime) {
        self.holder = holder
        self.durationSeconds = durationSeconds
        acquired = time
        renewed = time
    }

    init(_ lease: JSONObject) {
        let spec = lease["spec"]
        func time(_ name: String) -> WallTime? { spec?[name]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) } }
        holder = spec?["holderIdentity"]?.stringValue ?? ""
        durationSeconds = spec?["leaseDurationSeconds"]?.int64Value ?? 0
        acquired = time("acquireTime")
        renewed = time("renewTime")
        transitions = spec?["leaseTransitions"]?.int64Value ?? 0
        strategy = spec?["strategy"]?.stringValue ?? ""
        preferredHolder = spec?["preferredHolder"]?.stringValue ?? ""
    }

    /// The spec that the elector writes, in which an empty holder is present and strategy and preferred holder are dropped.
    var spec: JSONObject {
        var spec: JSONObject = ["holderIdentity": .string(holder), "leaseDurationSeconds": .integer(durationSeconds)]
        if let acquired { spec["acquireTime"] = acquired.micro }
        if let renewed { spec["renewTime"] = renewed.micro }
        spec["leaseTransitions"] = .integer(transitions)
        return spec
    }

    /// The record by which changes are detected: the JSON text of client-go's record has whole seconds.
    var inSeconds: ElectionRecord {
        var record = self
        record.acquired = acquired.map { WallTime(seconds: $0.seconds) }
        record.renewed = renewed.map { WallTime(seconds: $0.seconds) }
        return record
    }
}
