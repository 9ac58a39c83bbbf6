import QQCore

// Details that the output has had columns, keys or sentences for since before systems named their own.
extension ElectionState {
    /// The number of the term among the nodes of the cluster.
    var epoch: UInt64? {
        get { details["epoch"]?.uint64Value }
        set { details["epoch"] = newValue.map { .number($0) } }
    }

    /// The version of the record, which grows with each renewal.
    var revision: UInt64? {
        get { details["revision"]?.uint64Value }
        set { details["revision"] = newValue.map { .number($0) } }
    }

    /// The machine that the leader runs on.
    var host: String? { details["host"]?.stringValue }

    /// How long the identity that asked still must not lead, after stepping down.
    var cooldown: Duration? {
        get { details["cooldown"]?.doubleValue.map { .seconds(saturating: $0) } }
        set { details["cooldown"] = newValue.map { .double($0.seconds) } }
    }
}

extension Grant {
    /// The number of the term among the nodes of the cluster.
    var epoch: UInt64? { details["epoch"]?.uint64Value }
}
