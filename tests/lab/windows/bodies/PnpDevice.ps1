# Devices: those of `devices` in the state, each with `FriendlyName Class InstanceId Status`.
Body 'Get-PnpDevice' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Class','PresentOnly'
    $found = @((Get-DoubleState).devices | Where-Object { $_ -and (-not $Bound.Class -or $Bound.Class -contains $_.Class) })
    if (-not $found) { Write-DoubleCimNotFound $Cmdlet 'Win32_PnPEntity' 'Class' "$($Bound.Class)" }
    foreach ($device in $found) {
        $values = [ordered]@{}
        foreach ($property in $device.PSObject.Properties) { $values[$property.Name] = $property.Value }
        New-DoubleCim 'root/cimv2' 'Win32_PnPEntity' $values
    }
}
