import QQCore

/// The JSON payloads of requests to `JetStreamAPI`.
enum JetStreamRequest {
    /// For `messageGet`: the newest message under `subject`.
    static func lastMessage(under subject: String) -> [UInt8] {
        JSONWriter.bytes(["last_by_subj": .string(subject)])
    }

    /// For `streamNames` and `streamList`: a page of the streams that store messages of `subject`.
    static func streams(under subject: String = "$KV.*.>", offset: Int = 0) -> [UInt8] {
        JSONWriter.bytes(["offset": .integer(Int64(offset)), "subject": .string(subject)])
    }
}
