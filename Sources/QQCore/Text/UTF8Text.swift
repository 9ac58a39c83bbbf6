/// Bytes from outside that are to be text.
public enum UTF8Text {
    /// The text, with each byte that is no part of valid UTF-8 as `\xNN`: other bytes make another text, which replacement characters would not.
    public static func escaping(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var result = String.UnicodeScalarView()
        var rest = Array(bytes)[...]
        var parser = Unicode.UTF8.ForwardParser()
        var input = rest.makeIterator()
        while true {
            switch parser.parseScalar(from: &input) {
            case .valid(let encoded):
                result.append(Unicode.UTF8.decode(encoded))
                rest = rest.dropFirst(encoded.count)
            case .error(let length):
                for byte in rest.prefix(length) { result.append(contentsOf: ("\\x" + String(byte, radix: 16)).unicodeScalars) }
                rest = rest.dropFirst(length)
            case .emptyInput: return String(result)
            }
        }
    }
}
