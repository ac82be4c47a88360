# An object that holds SIDs; one of an account that is gone makes the cmdlet fail, which the older interface does not.
function Get-MemberSid([string]$group) {
    try { @(Get-LocalGroupMember -SID $group | ForEach-Object { [string]$_.SID.Value }) }
    catch {
        $name = (Get-LocalGroup -SID $group).Name
        @(([ADSI]"WinNT://./$name,group").Invoke('Members') | ForEach-Object {
            $bytes = $_.GetType().InvokeMember('objectSid', 'GetProperty', $null, $_, $null)
            [string](New-Object Security.Principal.SecurityIdentifier $bytes, 0).Value
        })
    }
}
