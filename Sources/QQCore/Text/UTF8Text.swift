/// Turns bytes from outside into text.
public enum UTF8Text {
    /// The text of `bytes`, with each byte that is not part of valid UTF-8 as `\xNN`. Different bytes make different texts, unlike with replacement
    /// characters.
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
