# A security identifier: the genuine type does not work on this machine. generate.py puts it into the modules whose parameters need it.
class DoubleSid {
    [int] $BinaryLength
    [object] $AccountDomainSid
    [string] $Value
    DoubleSid([string] $text) {
        if ($text -notmatch '^S-1-\d+(-\d+)+$') { throw [ArgumentException]::new('Value was invalid.', 'sddlForm') }
        $this.Value, $this.BinaryLength = $text, (8 + 4 * ($text.Split('-').Count - 3))
        if ($text -match '^(S-1-5-21-\d+-\d+-\d+)-\d+$') { $this.AccountDomainSid = $Matches[1] }
    }
    [string] ToString() { return $this.Value }
}
