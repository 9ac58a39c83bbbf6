import QQCore
import Testing

@testable import QQNATS

/// Lines from recordings of go-cluster nodes, and helpers for tests.
enum JetStreamSamples {
    static let createV1 = #"""
        {"name": "KV_cluster-demo", "subjects": ["$KV.cluster-demo.>"], "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "discard": "new", "max_age": 6000000000, "max_msgs_per_subject": 1, "max_msg_size": -1, "storage": "file", "num_replicas": 1, "duplicate_window": 6000000000, "deny_delete": true, "allow_rollup_hdrs": true, "compression": "none", "allow_direct": true, "mirror_direct": false, "consumer_limits": {}}
        """#
    static let createV2 = #"""
        {"name": "KV_KV_CLUSTER_demo", "subjects": ["$KV.KV_CLUSTER_demo.>"], "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "discard": "new", "max_age": 3000000000, "max_msgs_per_subject": 1, "max_msg_size": -1, "storage": "file", "num_replicas": 1, "duplicate_window": 3000000000, "deny_delete": true, "allow_rollup_hdrs": true, "compression": "none", "allow_direct": true, "mirror_direct": false, "consumer_limits": {}}
        """#
    static let streamCreated = #"""
        {"type": "io.nats.jetstream.api.v1.stream_create_response", "config": {"name": "KV_cluster-demo", "subjects": ["$KV.cluster-demo.>"], "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 6000000000, "max_msgs_per_subject": 1, "max_msg_size": -1, "discard": "new", "storage": "file", "num_replicas": 1, "duplicate_window": 6000000000, "compression": "none", "allow_direct": true, "mirror_direct": false, "sealed": false, "deny_delete": true, "deny_purge": false, "allow_rollup_hdrs": true, "consumer_limits": {}, "allow_msg_ttl": false, "metadata": {"_nats.level": "3", "_nats.req.level": "0", "_nats.ver": "2.12.8"}}, "created": "2026-11-21T00:37:09.697070224Z", "state": {"messages": 2, "bytes": 328, "first_seq": 1, "first_ts": "2026-11-21T00:37:09.698788515Z", "last_seq": 3, "last_ts": "2026-11-21T00:37:10.702577145Z", "num_subjects": 2, "num_deleted": 1, "consumer_count": 0}, "ts": "2026-11-21T00:37:11.699234171Z", "did_create": true}
        """#
    static let consumerCreate = #"""
        {"stream_name": "KV_KV_CLUSTER_demo", "config": {"deliver_policy": "last_per_subject", "ack_policy": "none", "ack_wait": 79200000000000, "max_deliver": 1, "filter_subject": "$KV.KV_CLUSTER_demo.leader", "replay_policy": "instant", "flow_control": true, "idle_heartbeat": 5000000000, "deliver_subject": "_INBOX.fi0eMoCZbkGIRcSzYodbcH", "num_replicas": 1, "mem_storage": true}}
        """#
    static let consumerCreated = #"""
        {"type": "io.nats.jetstream.api.v1.consumer_create_response", "stream_name": "KV_KV_CLUSTER_demo", "name": "8NIc70MJ", "created": "2026-11-21T00:36:55.499706005Z", "config": {"name": "8NIc70MJ", "deliver_policy": "last_per_subject", "ack_policy": "none", "ack_wait": 79200000000000, "max_deliver": 1, "filter_subject": "$KV.KV_CLUSTER_demo.leader", "replay_policy": "instant", "flow_control": true, "deliver_subject": "_INBOX.J6JcOaSDlLLzAFzI0dbC2L", "idle_heartbeat": 5000000000, "inactive_threshold": 5000000000, "num_replicas": 1, "mem_storage": true, "metadata": {"_nats.level": "3", "_nats.req.level": "0", "_nats.ver": "2.12.8"}}, "delivered": {"consumer_seq": 0, "stream_seq": 0}, "ack_floor": {"consumer_seq": 0, "stream_seq": 0}, "num_ack_pending": 0, "num_redelivered": 0, "num_waiting": 0, "num_pending": 1, "push_bound": true, "ts": "2026-11-21T00:36:55.499811902Z"}
        """#
    static let wrongLastSequence = #"""
        {"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence: 11"}, "stream": "KV_KV_CLUSTER_demo", "seq": 0}
        """#

    /// An answer with this payload.
    static func answer(_ payload: String) -> NATSMessage { NATSMessage(subject: "_INBOX.x.1", payload: Array(payload.utf8)) }

    /// A message with these header lines, as the recordings show them.
    static func message(_ subject: String, reply: String? = nil, headers lines: [String], payload: String = "") -> NATSMessage {
        var headers = NATSHeaders()
        let first = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        if first.count > 1 { headers.status = Int(first[1]) }
        if first.count > 2 { headers.statusText = String(first[2]) }
        for line in lines.dropFirst() {
            let parts = line.split(separator: ": ", maxSplits: 1)
            headers.fields.append(.init(String(parts[0]), parts.count > 1 ? String(parts[1]) : ""))
        }
        return NATSMessage(subject: subject, reply: reply, headers: headers, payload: Array(payload.utf8))
    }

    /// The error that `work` throws; nil if it does not throw.
    static func failure<Value>(of work: () throws(JetStreamFailure) -> Value) -> JetStreamFailure? {
        do throws(JetStreamFailure) {
            _ = try work()
            return nil
        } catch { return error }
    }

    static func time(_ text: String) throws -> WallTime { try WallTime.parse(rfc3339: text) }
}

extension NATSHeaders {
    /// The header lines as sent, without `NATS/1.0`.
    var lines: [String] { fields.map { "\($0.name): \($0.value)" } }
}
