import QQCore

/// The formats of the Go library, as the model has them.
enum GoFormat: Sendable {
    case v1, v2

    func bucket(of cluster: String) -> String { self == .v1 ? "cluster-" + cluster : "KV_CLUSTER_" + cluster }
    func stream(of cluster: String) -> String { "KV_" + bucket(of: cluster) }
    var leaseKey: String { self == .v1 ? "lease" : "leader" }
    func cooldownKey(of node: String) -> String { self == .v1 ? "cooldown-" + node : "cooldown." + node }
    func maxAge(ttl: Duration) -> Nanoseconds { self == .v1 ? ttl.nanoseconds * 2 : ttl.nanoseconds }
}

/// What is drawn for the servers of one world.
struct NATSTraits {
    var serverCount = 1
    var replicas = 1
    var format = GoFormat.v2
    /// The age of the bucket that exists at the beginning; nil if contenders have to create it.
    var existingAge: Nanoseconds?
    /// Server 2.9: knows repeated messages before it looks at expected sequences, and does not tell the time.
    var isOld = false
    /// Whether wall clocks of all machines are kept alike. Go nodes of v1 obey them, so they take part only then.
    var keepsWallClocks = false
    /// Whether `qq` is told the format.
    var isFormatGiven = false
    var clockOffsets: [Nanoseconds] = []
    /// From the arrival of a message to its place in the stream.
    var storeDelay: Nanoseconds = 0
    /// How late messages are removed whose age has come.
    var expiryDelay: Nanoseconds = 0
    /// A write of a stream without a leader, and requests for it, are refused at once; otherwise there is no answer.
    var tellsOfNoLeader = false

    static func draw(_ random: inout Generator, _ setting: ServerSetting) -> NATSTraits {
        var traits = NATSTraits()
        traits.serverCount = random.chance(500_000) ? 1 : 3
        traits.replicas = traits.serverCount == 3 && random.chance(750_000) ? 3 : 1
        traits.format = random.chance(300_000) ? .v1 : .v2
        if random.chance(300_000) { traits.existingAge = traits.format.maxAge(ttl: setting.times.ttl) }
        traits.isOld = random.chance(250_000)
        traits.keepsWallClocks = random.chance(500_000)
        traits.isFormatGiven = random.chance(200_000)
        for _ in 0..<traits.serverCount {
            traits.clockOffsets.append(traits.serverCount == 1 ? 0 : random.within(-.milliseconds(1)...(.milliseconds(1))))
        }
        traits.storeDelay = random.spread(.microseconds(30)...(.milliseconds(3)))
        traits.expiryDelay = random.spread(.milliseconds(1)...(.milliseconds(1_000)))
        traits.tellsOfNoLeader = random.chance(500_000)
        return traits
    }
}

/// How many faults of a kind are under way.
struct NATSFaults {
    var acknowledgementsLost = 0
    var storesLate = 0
    var answersLate = 0
    var lags = 0
}
