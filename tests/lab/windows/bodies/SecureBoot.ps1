# Secure Boot.
Body 'Confirm-SecureBootUEFI' {
    param($Bound, $Cmdlet)
    $secure = (Get-DoubleState).computer.SecureBoot
    if ($null -eq $secure) {
        $problem = New-Object PlatformNotSupportedException 'Cmdlet not supported on this platform: 0xC0000002'
        $Cmdlet.ThrowTerminatingError((New-Object Management.Automation.ErrorRecord $problem, 'GetFWVarFailed', 'NotImplemented', $null))
    }
    [bool]$secure
}
