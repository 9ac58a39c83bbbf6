// Typed access to details that more than one module reads by their JSON keys: a system's code, columns, and commands.
extension ElectionState {
    /// The number of the term among the nodes of the cluster, as Go nodes count terms.
    public var epoch: UInt64? {
        get { details["epoch"]?.uint64Value }
        set { details["epoch"] = newValue.map { .number($0) } }
    }

    /// The version of the record, which grows with each write.
    public var revision: UInt64? {
        get { details["revision"]?.uint64Value }
        set { details["revision"] = newValue.map { .number($0) } }
    }

    /// The machine that the leader runs on.
    public var host: String? { details["host"]?.stringValue }

    /// How long the identity that asked still must not lead, after stepping down; nil if it has no cooldown.
    public var cooldown: Duration? {
        get { details["cooldown"]?.doubleValue.map { .seconds(saturating: $0) } }
        set { details["cooldown"] = newValue.map { .double($0.seconds) } }
    }
}

extension Grant {
    /// The number of the term among the nodes of the cluster, as Go nodes count terms.
    public var epoch: UInt64? {
        get { details["epoch"]?.uint64Value }
        set { details["epoch"] = newValue.map { .number($0) } }
    }
}
