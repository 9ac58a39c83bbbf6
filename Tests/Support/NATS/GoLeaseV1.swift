import QQCore

/// The value of a v1 node's lease.
package struct GoLeaseV1: Sendable {
    package var node: String
    package var epoch: Int64
    package var expires: WallTime
    package var acquired: WallTime

    package init(node: String, epoch: Int64, expires: WallTime, acquired: WallTime) {
        self.node = node
        self.epoch = epoch
        self.expires = expires
        self.acquired = acquired
    }

    /// Nil if the bytes are not such a value.
    package init?(_ bytes: [UInt8]) {
        guard let json = try? JSONValue.parse(bytes), let node = json["node_id"]?.stringValue, let epoch = json["epoch"]?.int64Value,
            let expires = json["expires_at"]?.stringValue.flatMap({ try? WallTime.parse(rfc3339: $0) }),
            let acquired = json["acquired_at"]?.stringValue.flatMap({ try? WallTime.parse(rfc3339: $0) })
        else { return nil }
        self.init(node: node, epoch: epoch, expires: expires, acquired: acquired)
    }

    package var bytes: [UInt8] {
        JSONWriter.bytes([
            "node_id": .string(node), "epoch": .integer(epoch), "expires_at": .string(expires.rfc3339Nano),
            "acquired_at": .string(acquired.rfc3339Nano),
        ])
    }
}
