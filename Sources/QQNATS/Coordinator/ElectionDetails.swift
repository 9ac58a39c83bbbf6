import QQCore

// Details of an election that only buckets record.
extension ElectionState {
    /// The number of the term, as Go nodes count terms.
    var epoch: UInt64? {
        get { details["epoch"]?.uint64Value }
        set { details["epoch"] = newValue.map { .number($0) } }
    }

    /// The revision of the lease key, which grows with each write.
    var revision: UInt64? {
        get { details["revision"]?.uint64Value }
        set { details["revision"] = newValue.map { .number($0) } }
    }

    /// How long the identity that asked still must not lead, after stepping down; nil if it has no cooldown.
    var cooldown: Duration? {
        get { details["cooldown"]?.doubleValue.map { .seconds(saturating: $0) } }
        set { details["cooldown"] = newValue.map { .double($0.seconds) } }
    }
}

extension Grant {
    /// The number of the term, as Go nodes count terms.
    var epoch: UInt64? {
        get { details["epoch"]?.uint64Value }
        set { details["epoch"] = newValue.map { .number($0) } }
    }
}
